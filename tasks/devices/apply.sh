# HACC's hand on a Linux router. POSIX sh, run as root, kept with each run so that the router can
# go back without us. Usage: sh apply.sh VERB RUN, in the run's directory:
#
#   apply    check everything, keep the previous files, arm the dead-man timer, swap, bring into force
#   confirm  the change stays: disarm the timer
#   expire   the timer's verb: restore, unless confirmed
#   restore  put the previous files back, byte for byte, and bring them into force
#
# The directory holds, written by the orchestrator:
#   manifest   one file a line: NUMBER MODE SHA256 BEFORE PATH (BEFORE: SHA-256 of what it replaces,
#              or `-` where there must be none; SHA256 is `-` for a file that is to be removed)
#   new/N      the contents
#   check      commands that must succeed before anything is touched, one a line
#   keep       commands that save in previous/ what the way back needs besides the files
#   bring      commands that bring the new files into force, one a line, in order
#   return     commands that bring the previous files into force
#   units      services that the commands start, reload or stop
#   seconds    the dead-man timer
# and, written here: previous/ (the files, what `keep` saves, units), made (directories), state.
#
# Exit: 0 done; 10 refused, nothing was touched; 11 failed, restored; 12 failed, and so did the way
# back. The reason is on stdout, after a line that begins with `hacc: `.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
verb=$1
run=$2
base=/var/lib/hacc
here=$base/runs/$run
timer=hacc-revert-$run

say() { printf 'hacc: %s\n' "$*"; }
refuse() { say "$*"; exit 10; }

state() { # reads, or with an argument sets
    if [ $# -eq 0 ]; then
        cat "$here/state" 2>/dev/null || echo new
    else
        echo "$1" >"$here/state.next" && sync "$here/state.next" && mv -f "$here/state.next" "$here/state"
    fi
}

digest() { # PATH
    if [ -f "$1" ]; then sha256sum "$1" | cut -d' ' -f1; else echo -; fi
}

put() { # FROM TO: atomically; mode, owner and time come with FROM
    cp -p "$1" "$2.hacc-$run" && sync "$2.hacc-$run" && mv -f "$2.hacc-$run" "$2"
}

make_directory() { # PATH: with its parents, each noted so that it can be removed again
    [ -d "$1" ] && return 0
    make_directory "$(dirname "$1")" && mkdir -m 0755 "$1" && echo "$1" >>"$here/made"
}

run_lines() { # FILE: run each line; the first that fails is said, with its output
    while IFS= read -r command <&3; do
        if ! output=$(sh -c "umask 022; $command" 2>&1 </dev/null 9>&-); then
            say "failed: $command"
            printf '%s\n' "$output" | tail -n 60
            return 1
        fi
    done 3<"$1"
}

keep() { # what the way back needs: files, what `keep` saves, services
    mkdir -p "$here/previous" || return 1
    : >"$here/made"
    while read -r number mode sum before path; do
        [ "$before" = - ] || cp -p "$path" "$here/previous/$number" || return 1
    done <"$here/manifest"
    run_lines "$here/keep" || return 1
    while read -r unit; do
        printf '%s %s %s\n' "$unit" "$(systemctl is-active "$unit" 2>/dev/null || true)" \
            "$(systemctl is-enabled "$unit" 2>/dev/null || true)"
    done <"$here/units" >"$here/previous/units"
    sync
}

swap() {
    while read -r number mode sum before path; do
        if [ "$sum" = - ]; then
            rm -f "$path" || return 1
            continue
        fi
        make_directory "$(dirname "$path")" || return 1
        if [ -e "$path" ]; then owner=$path; else owner=$(dirname "$path"); fi
        chown --reference="$owner" "$here/new/$number" && chmod "$mode" "$here/new/$number" &&
            put "$here/new/$number" "$path" || return 1
    done <"$here/manifest"
}

put_back() { # the previous files, contents and modes; returns 1 if a file could not be
    missing=0
    while read -r number mode sum before path; do
        rm -f "$path.hacc-$run"
        if [ "$before" = - ]; then rm -f "$path"; else put "$here/previous/$number" "$path"; fi
        [ "$(digest "$path")" = "$before" ] || { say "not restored: $path"; missing=1; }
    done <"$here/manifest"
    return $missing
}

restore_all() { # may be run any number of times, from any point; returns 1 if a part did not work
    failed=0
    put_back || failed=1
    # Each command on its own: one that fails must not keep the others from being run.
    while IFS= read -r command <&3; do
        if ! output=$(sh -c "umask 022; $command" 2>&1 </dev/null 9>&-); then
            say "failed on the way back: $command"
            printf '%s\n' "$output" | tail -n 60
            failed=1
        fi
    done 3<"$here/return"
    while read -r unit active enabled; do
        case $active in
            active | activating | reloading) systemctl is-active --quiet "$unit" 9>&- || systemctl start "$unit" 9>&- || failed=1 ;;
            *) systemctl stop "$unit" >/dev/null 2>&1 9>&- ;;
        esac
        case $enabled in
            disabled) systemctl disable "$unit" >/dev/null 2>&1 ;;
            enabled) systemctl enable "$unit" >/dev/null 2>&1 ;;
        esac
    done <"$here/previous/units"
    put_back || failed=1 # again: a command may have put another file in its place
    sort -r "$here/made" | while read -r directory; do rmdir "$directory" 2>/dev/null; done
    return $failed
}

disarm() { systemctl stop "$timer.timer" >/dev/null 2>&1; }

lock() { # wait at most $1 seconds for another run's hand to leave the router
    mkdir -p $base/runs && exec 9>"$base/lock" && flock -w "$1" 9
}

prune() { # keep the newest 20 runs; the way back of older ones is the orchestrator's backup
    ls -1 $base/runs | sort -r | tail -n +21 | while read -r old; do
        case $(cat "$base/runs/$old/state" 2>/dev/null) in armed | applied) ;; *) rm -rf "${base:?}/runs/$old" ;; esac
    done
}

case $verb in
apply)
    lock 5 || refuse "another run is being applied to this router"
    for other in $base/runs/*/state; do
        [ -f "$other" ] || continue
        case $(cat "$other") in armed | applied)
            refuse "run $(basename "$(dirname "$other")") is not confirmed yet on this router" ;;
        esac
    done
    command -v systemd-run >/dev/null || refuse "no systemd-run here, so no dead-man timer: nothing is sent without one"
    while read -r number mode sum before path; do
        [ "$(digest "$here/new/$number")" = "$sum" ] || refuse "$path arrived damaged"
        [ ! -L "$path" ] || refuse "$path is a symbolic link: its file is not ours to replace"
        [ "$(digest "$path")" = "$before" ] || refuse "$path has changed since the plan was made"
    done <"$here/manifest"
    run_lines "$here/check" || exit 10
    keep || refuse "cannot keep the previous files under $here (is the disk full?)"
    state armed || refuse "cannot write $here/state"
    systemd-run --quiet --unit="$timer" --on-active="$(cat "$here/seconds")" --timer-property=AccuracySec=1s \
        /bin/sh "$here/apply.sh" expire "$run" >/dev/null 2>&1 9>&- || {
        state refused
        refuse "systemd-run did not arm the dead-man timer"
    }
    # Swapped again: a command may have put another file in a new one's place.
    if swap && run_lines "$here/bring" && swap; then
        state applied
        exit 0
    fi
    if restore_all; then
        state restored
        disarm
        exit 11
    fi
    exit 12 # still armed: the timer tries once more
    ;;
confirm)
    lock 30 || refuse "the router is busy"
    case $(state) in
        applied) ;;
        confirmed) exit 0 ;;
        restored) refuse "the router has already gone back by itself: no confirmation came in time" ;;
        *) refuse "nothing to confirm: the run is $(state)" ;;
    esac
    while read -r unit was enabled; do
        case $(systemctl is-active "$unit" 2>/dev/null) in
            failed) refuse "$unit did not stay up" ;;
        esac
    done <"$here/previous/units"
    state confirmed || refuse "cannot write $here/state"
    disarm
    rm -rf "$here/new"
    prune
    ;;
expire | restore)
    lock 300 || refuse "the router is busy"
    case $(state)/$verb in
        new/* | refused/* | restored/*) disarm; exit 0 ;;
        confirmed/expire) exit 0 ;;
    esac
    if restore_all; then
        state restored
        rm -rf "$here/new"
        [ "$verb" = expire ] || disarm
        exit 0
    fi
    exit 12
    ;;
*) refuse "verb $verb?" ;;
esac
