#!/bin/sh
# msvc.sh MACHINE OPTION ... -o PROGRAM ...: a compiler that is to the header what MSVC is: clang-19 for
# Microsoft's target with the headers of wine (libwine-dev), which serve cl as well as gcc. With
# -U__clang__ it is cl, without it clang-cl. For x86_64 it links (lld-19) with the import libraries of
# mingw-w64 and a start of its own, tests/msvc.c; for other machines PROGRAM is the object file.
set -e
wine=/usr/include/wine/wine lib=/usr/x86_64-w64-mingw32/lib
machine=$1 program=
shift
n=$#
while [ $n -gt 0 ]; do
    option=$1
    shift
    n=$((n - 1))
    case $option in
    -o) program=$1 && shift && n=$((n - 1)) ;;
    -l* | -pthread | -static) ;;
    *) set -- "$@" "$option" ;;
    esac
done
clang="clang-19 --target=$machine-pc-windows-msvc19.38"
compile() { $clang -nostdlibinc -isystem $wine/msvcrt -isystem $wine/windows -D_UCRT -include tests/msvc.h "$@"; }
if [ "$machine" != x86_64 ]; then
    compile "$@" -c -o "$program"
    exit
fi
compile "$@" -c -o "$program.obj"
$clang -O1 -c tests/msvc.c -o "$program.start.obj"
lld-link-19 /nologo /subsystem:console /entry:start /nodefaultlib "/out:$program" "$program.obj" \
    "$program.start.obj" $lib/libucrtbase.a $lib/libkernel32.a $lib/libadvapi32.a $lib/libwinhttp.a $lib/libws2_32.a
rm -f "$program.obj" "$program.start.obj"
