#!/bin/sh
# html_to_c.sh: dashboard.html as C, on stdout; one literal a line of it. The page's own script and
# style are named by their hashes in the policy that the collector sends with it.
#
#     sh examples/html_to_c.sh >examples/dashboard.h      (make page; lint compares)
set -u
html=examples/dashboard.html

# inside NAME: what is between the lines <NAME> and </NAME>, as a browser hashes it
inside() { awk -v name="$1" '$0 == "</" name ">" { on = 0 } on { text = text $0 "\n" }
    $0 == "<" name ">" { on = 1; text = "\n" } END { printf "%s", text }' $html; }

# base64 of SHA-256; printf makes bytes of the hexadecimal digits
hash() {
    bytes=$(sha256sum | cut -c1-64 | awk '{ for (i = 1; i < 65; i += 2) {
        n = (index("0123456789abcdef", substr($0, i, 1)) - 1) * 16 + index("0123456789abcdef", substr($0, i + 1, 1)) - 1
        printf "\\%03o", n } }')
    # shellcheck disable=SC2059
    printf "$bytes" | base64
}

script=$(inside script | hash) style=$(inside style | hash)
echo '/* dashboard.h: made of dashboard.html by html_to_c.sh; do not edit. */'
echo
echo '#define DASHBOARD_POLICY \'
printf '    "%s" \\\n' "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'none'; " "script-src 'sha256-$script'; "
printf '    "%s"\n\n' "style-src 'sha256-$style'"
echo 'static const char *const dashboard_html[] = {'
sed 's/\\/\\\\/g; s/"/\\"/g; s/^/    "/; s/$/\\n",/' $html
echo '};'
