# section.awk: the header with the bodies of one section's functions; of the others what they are
# called with is left. For analysers that cannot read all of it at once.
#   awk -v section=spool -f tests/section.awk vitelemetry.h

/^#define VITELEMETRY_IMPLEMENTED/ { on = 1 }
/^(\/\*|  ) >>[a-z0-9]+/ { at = $0; sub(/.*>>/, "", at); sub(/[^a-z0-9].*/, "", at) }
/^#define VITP_INLINE/ { print "#define VITP_INLINE inline"; next }
on && at != section && /^\{/ { print ";"; skip = 1 }
skip { if (/^\}/) skip = 0; next }
{ print }
