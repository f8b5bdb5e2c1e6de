#!/bin/sh
# check_cpp.sh: the C++ part in each compiler, standard and switch: test_cpp.cpp is built without a
# warning and run; which symbols it leaves; a plugin that has used all of it is really unloaded.
# QUICK=1: two compilers, the oldest and the newest standard, fewer switches.
set -u
D=build/cpp
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual -Wvla -Werror'
ETC=-DVITP_OS_ETC='"/nonexistent"'
passed=0 failed=0
rm -rf "$D"
mkdir -p "$D"

. tests/lib.sh
cxx() { "$cxx" -std="$std" $W -O1 "$ETC" -I. "$@"; }

printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >"$D/impl.c"
impl() { "$cc" -std=c99 -O1 "$ETC" -I. -c "$D/impl.c" -o "$D/impl.o"; }

# what a test program's last line says; it counts, so that one which checks nothing is seen
runs() { "$D/$1" && tail -1 "$D/log" | grep -Eqx '[1-9][0-9]+ passed, 0 failed'; }

# the implementation in C, the user in C++ with these switches, and what throws with exceptions
# shellcheck disable=SC2046 # of throwers there is one or none
cell() {
    cxx -c -DTHROWER -fexceptions tests/test_cpp.cpp -o "$D/thrower.o" &&
        cxx "$@" -c tests/test_cpp.cpp -o "$D/user.o" &&
        cxx "$D/user.o" $(throwers "$@") "$D/impl.o" -o "$D/cell" -pthread && runs cell
}
throwers() { case $* in *-fno-exceptions*) echo "$D/thrower.o" ;; esac; }

# the implementation in the same file
alone() { cxx -DALONE "$@" tests/test_cpp.cpp -o "$D/alone" -pthread && runs alone; }
off() { cxx -DVITELEMETRY_DISABLE "$@" tests/test_cpp.cpp -o "$D/off" -pthread && runs off; }

# ---- symbols, and a plugin -----------------------------------------------------------------------

cat >"$D/user.cpp" <<'END'
#include "vitelemetry.h"
struct job { /* a class of the user's may have one as a member */
    vit::operation whole;
    job(vit_client *t) : whole(t, "job") {}
};
extern "C" int user(vit_client *t);
extern "C" int user(vit_client *t)
{
    job j(t);
    vit::operation o(t, "import.run", "import");
    o.fail("E1");
    return vit::install_terminate_handler(t) && vit::install_terminate_handler(0) &&
           vit::report_exceptions(t, o.op(), "E", "f", [] { return 1; }) +
           vit::report_exceptions(t, "E", "f", [] { return 1; }) == 2;
}
END
cat >"$D/plugin.cpp" <<'END'
#define VITELEMETRY_STATIC
#define VITELEMETRY_IMPLEMENTATION
#include "user.cpp"
#include <stdexcept>
extern "C" int plugin();
extern "C" int plugin()
{
    vit_options options = vit_options();
    options.data_dir = "";
    options.consent = VIT_CONSENT_GRANTED;
    options.allow_in_ci = true;
    vit_client *t = vit_create(&options);
    int ok = t && user(t);
    try {
        vit::report_exceptions(t, "E", "f", [] { throw std::runtime_error("x"); });
    } catch (const std::exception &) {
        ok += 1;
    }
    ok += vit_get_stats(t).accepted == 3;
    return vit_destroy(t, 0) ? ok : 0;
}
END
cat >"$D/load.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
static int mapped(const char *name)
{
    char line[4096];
    int found = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) found += strstr(line, name) != NULL;
    if (f) fclose(f);
    return found;
}
int main(int argc, char **argv)
{
    void *keep = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
    for (int i = 1; i < argc; i++) {
        const char *name = strrchr(argv[i], '/') + 1;
        void *so = dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL);
        int (*plugin)(void) = 0;
        if (!so) return printf("%s\n", dlerror()), 1;
        *(void **)&plugin = dlsym(so, "plugin");
        if (plugin() != 3) return printf("%s: %d\n", name, plugin()), 1;
        if (!mapped(name)) return printf("%s is not seen\n", name), 1;
        if (argc == 2 && (dlclose(so) || mapped(name))) return printf("%s stays\n", name), 1;
    }
    return keep == NULL;
}
END

cat >"$D/hooked.cpp" <<'END'
#define VITELEMETRY_STATIC
#define VITELEMETRY_IMPLEMENTATION
#include "vitelemetry.h"
static vit_client *t;
extern "C" void begin()
{
    vit_options options = vit_options();
    options.data_dir = "";
    options.consent = VIT_CONSENT_GRANTED;
    options.allow_in_ci = true;
    t = vit_create(&options);
    vit::install_terminate_handler(t);
}
/* 1: it was taken out; 0: it stays; 2: nobody asked */
extern "C" int end(bool ask)
{
    int out = ask ? vit::install_terminate_handler(nullptr) : 2;
    return vit_destroy(t, 0) ? out : -1;
}
END
cat >"$D/unhook.cpp" <<'END'
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <unistd.h>
static std::terminate_handler below;
static void first() { _exit(42); }
static void on_top() { below(); }
static bool mapped(const char *name)
{
    char line[4096];
    bool found = false;
    FILE *f = std::fopen("/proc/self/maps", "r");
    while (f && std::fgets(line, sizeof line, f)) found = found || std::strstr(line, name);
    if (f) std::fclose(f);
    return found;
}
int main(int, char **argv) /* plugin, what end() answers */
{
    int want = std::atoi(argv[2]);
    void *so = dlopen(argv[1], RTLD_NOW);
    if (!so) return 1;
    void (*begin)() = reinterpret_cast<void (*)()>(dlsym(so, "begin"));
    int (*end)(bool) = reinterpret_cast<int (*)(bool)>(dlsym(so, "end"));
    std::set_terminate(first);
    begin();
    below = std::get_terminate();
    if (want == 0) std::set_terminate(on_top);
    if (end(want != 2) != want || dlclose(so)) return 2;
    if (want == 1 && mapped("hooked")) return 3;
    std::terminate();
}
END

# no symbol of which a process has one only, and none that another file's could stand for
symbols() {
    cxx -fPIC "$@" -c "$D/user.cpp" -o "$D/user.o" && cxx -shared "$D/user.o" -o "$D/user.so" || return 1
    { nm "$D/user.o" | grep ' u '
      nm -D --defined-only "$D/user.so" | grep ' vit\|3vit'
    } >"$D/strangers"
    nm -D "$D/user.so" | grep -q ' T user$' && empty "$D/strangers"
}
plugin() { cxx -fPIC -shared "$@" "$D/plugin.cpp" -o "$D/plugin_$1.so" -pthread; }
unloads() {
    plugin -O0 && ! nm "$D/plugin_-O0.so" | grep ' u ' && plugin -O2 && ! nm "$D/plugin_-O2.so" | grep ' u ' &&
        "$cc" "$D/load.c" -o "$D/load" -ldl && "$D/load" "$D/plugin_-O0.so" && "$D/load" "$D/plugin_-O2.so" &&
        "$D/load" "$D/plugin_-O0.so" "$D/plugin_-O2.so"
}
# std::terminate behind a plugin that had its handler and is unloaded: the host's handler ends it
unhooks() {
    cxx -fPIC -shared "$D/hooked.cpp" -o "$D/hooked.so" -pthread && cxx "$D/unhook.cpp" -o "$D/unhook" -ldl || return 1
    for want in 1 0 2; do
        timeout 60 "$D/unhook" "$PWD/$D/hooked.so" $want
        [ $? = 42 ] || { echo "$want"; return 1; }
    done
}
# static: nothing is global, however little the compiler inlines
static_local() {
    plugin -O0 -c && nm -g --defined-only "$D/plugin_-O0.so" | grep ' vit\|3vit' >"$D/strangers"
    empty "$D/strangers"
}
off_nothing() {
    cxx -DVITELEMETRY_DISABLE -O2 -c "$D/user.cpp" -o "$D/off.o" && nm "$D/off.o" | grep ' vit\|3vit\|cxa\|uncaught' >"$D/strangers"
    empty "$D/strangers"
}

# ---- run -----------------------------------------------------------------------------------------

for pair in gcc:g++ clang:clang++ clang-19:clang++-19; do
    cc=${pair%:*} cxx=${pair#*:}
    [ "${QUICK:-}$cxx" != 1clang++-19 ] || continue
    has "$cxx" || { skip "$cxx: not here"; continue; }
    check "$cc: the implementation, in C" impl
    for std in c++11 c++14 c++17 c++20; do
        case ${QUICK:-}:$std in 1:c++14 | 1:c++17) continue ;; esac
        check "$cxx -std=$std" cell -DVITELEMETRY_NOTHING
        check "$cxx -std=$std -fno-exceptions -fno-rtti" cell -fno-exceptions -fno-rtti
        [ "${QUICK:-}" = 1 ] && continue
        check "$cxx -std=$std -fno-exceptions" cell -fno-exceptions
        check "$cxx -std=$std -fno-rtti" cell -fno-rtti
        check "$cxx -std=$std: disabled" off
        check "$cxx -std=$std -fno-exceptions -fno-rtti: disabled" off -fno-exceptions -fno-rtti
    done
    std=c++11
    check "$cxx: static, implementation in C++" alone -DVITELEMETRY_STATIC
    for std in c++11 c++20; do
        [ "${QUICK:-}$std" != 1c++20 ] || continue
        for o in -O0 -O2; do check "$cxx -std=$std $o: symbols" symbols $o; done
        check "$cxx -std=$std: static, no global symbol" static_local
        check "$cxx -std=$std: a plugin is unloaded" unloads
        check "$cxx -std=$std: a plugin that had the terminate handler is unloaded" unhooks
        check "$cxx -std=$std -O2: disabled, no symbol" off_nothing
    done
done
[ $passed$failed != 00 ] || check 'no C++ compiler is here: there is nothing to check' true
echo "$passed passed, $failed failed"
[ $failed = 0 ]
