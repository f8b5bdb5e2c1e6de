#!/bin/sh
# run.sh PROGRAM ... runs each test program or script and adds up what it counted: cmocka's lines, or a
# last line `N passed, N failed`. A program that ends with a status and no failure counts as one.
# what who runs the tests refuses for himself
unset DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT \
    DOTNET_CLI_TELEMETRY_OPTOUT HOMEBREW_NO_ANALYTICS POWERSHELL_TELEMETRY_OPTOUT \
    NEXT_TELEMETRY_DISABLED GATSBY_TELEMETRY_DISABLED AZURE_CORE_COLLECT_TELEMETRY SAM_CLI_TELEMETRY
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME
mkdir -p build
SUMS=build/sums.$$
rm -rf "$SUMS"
mkdir "$SUMS"

one() {
    log=build/$(basename "$1").log
    start=$(date +%s)
    case $1 in
    *.sh) sh "$1" >"$log" 2>&1 ;;
    *) "$1" >"$log" 2>&1 ;;
    esac
    status=$?
    p=$(grep -c '^\[       OK \]' "$log")
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    # cmocka names each failure twice: where it happens, and in the summary
    f=$(grep '^\[  FAILED  \] [A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
    if [ -n "$line" ]; then
        p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    elif [ "$p$f" = 00 ] && [ $status = 0 ]; then
        p=1
    fi
    [ $status != 0 ] && [ "$f" = 0 ] && f=1
    [ "$p$f" = 00 ] && f=1 # nothing ran
    echo "$p $f" >"$SUMS/$(basename "$1")"
    {
        printf '%-28s %4d passed %3d failed  %3d s\n' "$(basename "$1")" "$p" "$f" $(($(date +%s) - start))
        [ "$f" = 0 ] || { grep -vE '^\[ (RUN|      OK)' "$log" | tail -40 | sed 's/^/    /'; echo "see $log"; }
    } >"$SUMS/out.$(basename "$1")"
    cat "$SUMS/out.$(basename "$1")" # in one piece
    rm "$SUMS/out.$(basename "$1")"
}

# the scripts beside the programs
for program; do case $program in *.sh) one "$program" ;; esac; done &
for program; do case $program in *.sh) ;; *) one "$program" ;; esac; done
wait
cat "$SUMS"/* | awk -v wanted=$# '{ p += $1; f += $2; n++ }
    END { f += wanted - n; printf "%d passed, %d failed\n", p, f; exit f != 0 || p == 0 }'
status=$?
rm -rf "$SUMS"
exit $status
