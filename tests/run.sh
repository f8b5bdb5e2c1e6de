#!/bin/sh
# run.sh PROGRAM ... runs each test program or script and adds up what it counted: cmocka's lines, or a
# last line `N passed, N failed`. A program that ends with a status and no failure counts as one.
passed=0 failed=0 bad=
# what who runs the tests refuses for himself
unset DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT \
    DOTNET_CLI_TELEMETRY_OPTOUT HOMEBREW_NO_ANALYTICS POWERSHELL_TELEMETRY_OPTOUT \
    NEXT_TELEMETRY_DISABLED GATSBY_TELEMETRY_DISABLED AZURE_CORE_COLLECT_TELEMETRY SAM_CLI_TELEMETRY
XDG_CONFIG_HOME=/nonexistent
export XDG_CONFIG_HOME
mkdir -p build
for program in "$@"; do
    log=build/$(basename "$program").log
    start=$(date +%s)
    case $program in
    *.sh) sh "$program" >"$log" 2>&1 ;;
    *) "$program" >"$log" 2>&1 ;;
    esac
    status=$?
    p=$(grep -c '^\[       OK \]' "$log") f=$(grep -c '^\[  FAILED  \] [A-Za-z_]*$' "$log")
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    if [ -n "$line" ]; then
        p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    elif [ "$p$f" = 00 ] && [ $status = 0 ]; then
        p=1
    fi
    # cmocka names each failure twice: where it happens, and in the summary
    [ -n "$line" ] || f=$(grep '^\[  FAILED  \] [A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
    [ $status != 0 ] && [ "$f" = 0 ] && f=1
    [ "$p$f" = 00 ] && f=1 # nothing ran
    printf '%-28s %4d passed %3d failed  %3d s\n' "$(basename "$program")" "$p" "$f" \
        $(($(date +%s) - start))
    passed=$((passed + p)) failed=$((failed + f))
    [ "$f" = 0 ] || {
        bad="$bad $log"
        grep -vE '^\[ (RUN|      OK)' "$log" | tail -40 | sed 's/^/    /'
    }
done
[ -z "$bad" ] || echo "see$bad"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
