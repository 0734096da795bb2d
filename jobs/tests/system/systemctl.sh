#!/bin/sh
# Plays the part of systemd and its systemctl, where none is at work: units are directories in $UNITS, what is known of each is in
# files there, and every call that changes something is written down.
PATH=/usr/bin:/bin
verb=
unit=
for word in "$@"; do
    case $word in
    --*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else unit=$word; fi ;;
    esac
done
here=$UNITS/$unit
if [ -e "$here/no-bus" ]; then echo "Failed to connect to bus: No such file or directory" >&2; exit 1; fi
case $verb in
show | is-enabled) ;;
*) echo "$verb $unit" >>"$UNITS/calls" ;;
esac
if [ "$verb" = daemon-reload ]; then
    rm -f "$UNITS"/*/changed
    exit 0
fi
if [ ! -d "$here" ]; then
    case $verb in
    show) printf 'LoadState=not-found\nActiveState=inactive\nSubState=dead\nNeedDaemonReload=no\n' ; exit 0 ;;
    is-enabled) echo "Failed to get unit file state for $unit: No such file or directory" >&2; exit 1 ;;
    *) echo "Failed to $verb $unit: No such file or directory" >&2; exit 1 ;;
    esac
fi
start() {
    if [ -e "$here/masked" ]; then echo "Failed to start $unit: Unit $unit is masked." >&2; exit 1; fi
    if [ -e "$here/broken" ]; then echo failed >"$here/active"; echo "Job for $unit failed." >&2; exit 1; fi
    if [ -e "$here/hangs" ]; then echo activating >"$here/active"; exec sleep 600; fi
    echo active >"$here/active"
}
if [ "$verb" = show ] && [ -e "$here/dies" ] && [ -e "$here/active" ]; then
    echo $(($(cat "$here/restarts") + 1)) >"$here/restarts"
fi
case $verb in
show)
    active=$(cat "$here/active" 2>/dev/null || echo inactive)
    sub=running
    [ "$active" = inactive ] && sub=dead
    [ "$active" = activating ] && sub=$(cat "$here/sub" 2>/dev/null || echo start)
    reload=no
    [ -e "$here/changed" ] && reload=yes
    if [ -e "$here/hangs" ]; then echo Job=7; fi
    printf 'LoadState=loaded\nActiveState=%s\nSubState=%s\nNeedDaemonReload=%s\n' "$active" "$sub" "$reload"
    if [ -e "$here/type" ]; then printf 'Type=%s\n' "$(cat "$here/type")"; fi
    if [ -e "$here/restarts" ]; then printf 'NRestarts=%s\n' "$(cat "$here/restarts")"; fi
    ;;
is-enabled)
    if [ -e "$here/masked" ]; then echo masked; exit 1; fi
    if [ -e "$here/static" ]; then echo static; exit 0; fi
    if [ -e "$here/enabled" ]; then echo enabled; else echo disabled; exit 1; fi
    ;;
start) start ;;
restart | reload-or-restart) start ;;
stop) rm -f "$here/active" ;;
enable) : >"$here/enabled" ;;
disable) rm -f "$here/enabled" ;;
mask) : >"$here/masked" ;;
unmask) rm -f "$here/masked" ;;
*) echo "no such verb: $verb" >&2; exit 1 ;;
esac
