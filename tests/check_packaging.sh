#!/bin/sh
# check_packaging.sh: the header in other builds: `make install`, each recipe of README.md's "In your
# build" by the real tool, one version everywhere, and a disabled build that leaves nothing behind.
# A tool that is not here is named (make deps-packaging installs them).
set -u
D=build/packaging
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
CC=${CC:-cc}
passed=0 failed=0
rm -rf $D
mkdir -p $D
. tests/lib.sh
make() { command "${MAKE:-make}" -s --no-print-directory MAKEFLAGS= "$@"; }
version=$(sed -n 's/^#define VITELEMETRY_VERSION  *"\(.*\)"/\1/p' vitelemetry.h)

# ---- install -------------------------------------------------------------------------------------

files() { (cd "$1" && find . ! -type d | sort); }
staged() { # DESTDIR goes before PREFIX, and into no file
    make install PREFIX=/opt/vit DESTDIR="$PWD/$D/stage" &&
        files $D/stage >$D/files && printf './opt/vit/%s\n' include/vitelemetry.h share/pkgconfig/vitelemetry.pc | diff - $D/files &&
        cmp vitelemetry.h $D/stage/opt/vit/include/vitelemetry.h && ! grep stage $D/stage/opt/vit/share/pkgconfig/vitelemetry.pc &&
        grep '^prefix=/opt/vit$' $D/stage/opt/vit/share/pkgconfig/vitelemetry.pc
}
again() { make install PREFIX=/opt/vit DESTDIR="$PWD/$D/stage" && files $D/stage | diff $D/files -; }
readable() { [ -z "$(find $D/stage -type f ! -perm 644)" ]; }
default() { make install DESTDIR="$PWD/$D/default" && [ -f $D/default/usr/local/include/vitelemetry.h ]; }
here() { make install PREFIX="$PWD/$D/here" && [ -f $D/here/include/vitelemetry.h ]; }
umasked() { (umask 077 && make install PREFIX=/opt/vit DESTDIR="$PWD/$D/umask" && [ -z "$(find $D/umask -type f ! -perm 644)" ]); }

# ---- the recipes ---------------------------------------------------------------------------------

recipe() { # language, which: that code block of README.md's section
    awk -v want="\`\`\`$1" -v which="$2" '/^## / { section = $0 == "## In your build" }
        section && $0 == want { on = ++n == which; next } /^```/ { on = 0 } on' README.md
}
project() { # a folder with a program and, in third_party, a copy
    rm -rf "${D:?}/$1"
    mkdir -p "$D/$1/third_party"
    cp vitelemetry.h "$D/$1/third_party/"
    cp $D/main.c $D/other.c "$D/$1/"
}
cat >$D/main.c <<'END'
#define VITELEMETRY_IMPLEMENTATION
#include <vitelemetry.h>
int other(vit_client *t);
int main(void)
{
    vit_options options = { .data_dir = "", .consent = VIT_CONSENT_GRANTED };
    vit_client *t = vit_create(&options);
    int         accepted = other(t);
    vit_destroy(t, 0);
    printf("%s %d.%d.%d %s %d\n", VITELEMETRY_VERSION, VITELEMETRY_VERSION_MAJOR,
           VITELEMETRY_VERSION_MINOR, VITELEMETRY_VERSION_PATCH, vit_version(), accepted);
    return 0;
}
END
cat >$D/other.c <<'END'
#include <vitelemetry.h>
int other(vit_client *t);
int other(vit_client *t)
{
    return vit_track_feature_toggled(t, &(vit_feature_toggled){ .new_value = true }) == VIT_OK;
}
END
works() { # program: it runs, and all versions agree
    env -i PATH="$PATH" "$1" >$D/out
    cat $D/out
    [ "$(cat $D/out)" = "$version $version $version 1" ]
}
pc() { PKG_CONFIG_PATH="$PWD/$D/here/share/pkgconfig" "$@"; }

# as they stand, but for the compiler and a second file
copied() {
    project copy
    recipe sh 1 >$D/recipe && [ "$(wc -l <$D/recipe)" = 2 ] && mv $D/copy/third_party/vitelemetry.h $D/copy/ &&
        (cd $D/copy && sed "s/main\.c/main.c other.c/; s|^cc |$CC |" ../recipe | sh -e) && works $D/copy/app
}
by_pkg_config() {
    project installed
    recipe sh 2 | sed "1d; s/main\.c/main.c other.c/; s|^cc |$CC |" >$D/recipe && [ "$(wc -l <$D/recipe)" = 1 ] &&
        rm -r $D/installed/third_party &&
        (cd $D/installed && PKG_CONFIG_PATH="$PWD/../here/share/pkgconfig" sh -e ../recipe) && works $D/installed/app
}
pc_says() {
    pc pkg-config --validate vitelemetry && [ "$(pc pkg-config --modversion vitelemetry)" = "$version" ] &&
        pc pkg-config --atleast-version="$version" vitelemetry &&
        [ "$(pc pkg-config --variable=includedir vitelemetry)" = "$PWD/$D/here/include" ]
}
with_cmake() { # project, lines, what the program is linked with
    printf '%s\n' 'cmake_minimum_required(VERSION 3.10)' 'project(app C)' "$2" 'add_executable(app main.c other.c)' \
        "target_link_libraries(app PRIVATE $3)" >"$D/$1/CMakeLists.txt"
    pc cmake -S "$D/$1" -B "$D/$1/build" -DCMAKE_C_COMPILER="$CC" && cmake --build "$D/$1/build" && works "$D/$1/build/app"
}
by_cmake() { project cmake && [ "$(recipe cmake 1 | wc -l)" = 3 ] && with_cmake cmake "$(recipe cmake 1)" vitelemetry; }
by_cmake_installed() {
    grep 'pkg_check_modules(vitelemetry REQUIRED IMPORTED_TARGET vitelemetry)' README.md && grep 'PkgConfig::vitelemetry' README.md &&
        project cmake2 && rm -r $D/cmake2/third_party && with_cmake cmake2 'find_package(PkgConfig REQUIRED)
pkg_check_modules(vitelemetry REQUIRED IMPORTED_TARGET vitelemetry)' PkgConfig::vitelemetry
}
with_meson() { # the same
    printf '%s\n' "project('app', 'c')" "$2" "executable('app', 'main.c', 'other.c', dependencies: $3)" >"$D/$1/meson.build"
    (cd "$D/$1" && CC=$CC PKG_CONFIG_PATH="$PWD/../here/share/pkgconfig" meson setup build && meson compile -C build) &&
        works "$D/$1/build/app"
}
by_meson() { project meson && [ "$(recipe meson 1 | wc -l)" = 3 ] && with_meson meson "$(recipe meson 1)" vitelemetry; }
by_meson_installed() {
    grep "dependency('vitelemetry')" README.md && project meson2 && rm -r $D/meson2/third_party &&
        with_meson meson2 '' "dependency('vitelemetry')"
}

# ---- disabled ------------------------------------------------------------------------------------

# it links with nothing
unlinked() {
    sed 's/#include <vitelemetry.h>/&\n#include <stdio.h>/' $D/main.c >$D/off.c && cp $D/other.c $D/off_other.c &&
        $CC -DVITELEMETRY_DISABLE -I. $D/off.c $D/off_other.c -o $D/unlinked &&
        [ "$($D/unlinked)" = "$version $version  0" ]
}
# each function that the header declares, and those of the catalogue
missing() {
    printf '#include "vitelemetry.h"\n' | $CC -std=c99 -I. -E -P -x c - | tr '\n' ' ' | tr ';' '\n' | grep -v typedef |
        sed -n 's/^[^(]*[ *]\(vit_[a-z0-9_]*\) *(.*/\1/p' | sort -u >$D/declared
    $CC -std=c99 -I. -E -P tests/disabled.c | sed -n '/client(vit_client/,$p' | tr -c 'a-z0-9_' '\n' | grep '^vit_' | sort -u >$D/called
    [ "$(wc -l <$D/declared)" -gt 80 ] && comm -23 $D/declared $D/called | grep -v '_$' >$D/strangers
    empty $D/strangers
}
left() { # compiler and flags
    # shellcheck disable=SC2086
    "$@" $W -I. -DVITELEMETRY_DISABLE -c tests/disabled.c -o $D/off.o || return 1
    # how exceptions pass through the host's own functions is the host's
    nm $D/off.o | grep -v ' T main$\|__gxx_personality_v0$' >$D/strangers
    strings -a -n 3 $D/off.o | grep -i 'vit_\|telemetry\|DISABLED_TEXT\|toggled\|query' >>$D/strangers
    nm $D/off.o | grep -q ' T main$' && empty $D/strangers
}

# each example by itself, as its host would build it: nothing is missing, and it ends
off_example() { # program, files
    program=$1
    shift
    # shellcheck disable=SC2086
    $CC -std=c99 $W -DVITELEMETRY_DISABLE -I. "$@" -o "$D/off_$program" -pthread && (
        cd $D && timeout 20 ./off_$program </dev/null
        [ $? -le 1 ])
}

# ---- run -----------------------------------------------------------------------------------------

check 'make install: DESTDIR and PREFIX' staged
check 'make install: twice' again
check 'make install: all may read it' readable
check 'make install: with umask 077 too' umasked
check 'make install: PREFIX is /usr/local' default
check 'make install: PREFIX alone' here
check 'README: plain copy; the macros and vit_version() agree' copied
if has pkg-config; then
    check 'the pkg-config file is valid and has the version' pc_says
    check 'README: pkg-config' by_pkg_config
else skip 'pkg-config: not here'; fi
if has cmake; then
    check 'README: CMake' by_cmake
    ! has pkg-config || check 'README: CMake, installed' by_cmake_installed
else skip 'cmake: not here'; fi
if has meson; then
    check 'README: Meson' by_meson
    ! has pkg-config || check 'README: Meson, installed' by_meson_installed
else skip 'meson: not here'; fi
check 'disabled: it links with nothing' unlinked
check 'disabled: tests/disabled.c calls every function' missing
for e in hello curl errors file_sink privacy queue; do check "disabled: examples/$e.c" off_example $e examples/$e.c; done
for e in consent offline operations own_events; do
    check "disabled: examples/$e.c" off_example $e examples/$e.c examples/http.c
done
if printf '#include <curl/curl.h>\n' | $CC -E -x c - >/dev/null 2>&1; then
    check 'disabled: examples/pump.c' off_example pump examples/pump.c -lcurl
else skip 'libcurl: not here'; fi
for o in -O1 -O2; do
    for c in 'gcc -std=c99' 'clang -std=c99' 'g++ -x c++ -std=c++98' 'clang++ -x c++ -std=c++98' 'g++ -x c++ -std=c++11' 'clang++ -x c++ -std=c++17'; do
        has "${c%% *}" || { skip "${c%% *}: not here"; continue; }
        # shellcheck disable=SC2086
        check "disabled: $c $o leaves no symbol and no text" left $c $o
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
