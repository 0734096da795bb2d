#!/bin/sh
# Stands in for a system program: writes down how it was called, and does what the fixture has for that call.
# Of several answers for one call each serves once, the last one for all further calls.
program=${0##*/}
world=${STAND_IN:?}
PATH=/usr/bin:/bin

{ printf '%s\037' "$program" "$@"; printf '\035'; cat; printf '\036'; } >>"$world/calls"

call=$(printf '%s\n' "$program" "$@")
answer=
for candidate in "$world"/answers/*/; do
    [ -e "$candidate/argv" ] || continue
    [ "$(cat "$candidate/argv")" = "$call" ] || continue
    answer=$candidate
    [ -e "$candidate/used" ] || break
done
if [ -z "$answer" ]; then
    echo "$program: the fixture has no answer for: $*" >&2
    exit 99
fi
: >"$answer/used"
[ -d "$answer/writes" ] && cp -R "$answer/writes/." "$world"/root
cat "$answer/stdout"
cat "$answer/stderr" >&2
exit "$(cat "$answer/status")"
