# HACC's hand on a Linux router. POSIX sh, run as root, kept with each run so that the router can
# go back without us. Usage: sh apply.sh VERB RUN, in the run's directory:
#
#   apply    check everything, keep the previous files, arm the dead-man timer, swap, bring into
#            force, and prove that every file holds what was sent
#   confirm  the change stays: disarm the timer
#   expire   the verb of the timer, and of the first boot after: restore, unless confirmed
#   restore  put the previous files back, byte for byte, and bring them into force
#
# The directory holds, written by the orchestrator (sums are in the form that sha256sum checks):
#   manifest   one file a line: NUMBER MODE SHA256 BEFORE PATH (BEFORE: SHA-256 of what it replaces,
#              or `-` where there must be none; SHA256 is `-` for a file that is to be removed)
#   new/N      the contents, with their modes
#   arrived    sums of new/N
#   placed     sums of the files once they are in their places
#   held       sums of all files that the plan was made from, changed or not
#   modes      MODE PATH of the same
#   absent     the paths where there was none
#   ran        sums of what `keep` saves of what daemons run, where the plan was made from that
#   check      commands that must succeed before anything is touched, one a line
#   hand-over  commands that give the roles of this router to others, before anything is touched
#   keep       commands that save in previous/ what the way back needs besides the files
#   bring      commands that bring the new files into force, one a line, in order
#   return     commands that bring the previous files into force
#   units      services that the commands start, reload or stop
#   seconds    the dead-man timer
# and, written here: previous/ (the files, what `keep` saves, units), made (directories), state.
#
# Exit: 0 done; 10 refused, nothing was touched; 11 failed, restored; 12 failed, and so did the way
# back; 13 refused, because the router is not what the plan was made from. The reason is on stdout,
# after a line that begins with `hacc: `.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
verb=$1
run=$2
base=/var/lib/hacc
here=$base/runs/$run
timer=hacc-revert-$run
boot_unit=/etc/systemd/system/hacc-revert.service
boot_link=/etc/systemd/system/multi-user.target.wants/hacc-revert.service

say() { printf 'hacc: %s\n' "$*"; }
refuse() { say "$*"; exit 10; }
moved() { say "$* has changed since the plan was made"; exit 13; }

state() { # reads, or with an argument sets
    if [ $# -eq 0 ]; then
        now=new
        [ ! -f "$here/state" ] || read -r now <"$here/state"
        echo "$now"
    else
        echo "$1" >"$here/state.next" && sync "$here/state.next" && mv -f "$here/state.next" "$here/state"
    fi
}

digest() { # PATH
    if [ -f "$1" ]; then sha256sum "$1" | cut -d' ' -f1; else echo -; fi
}

wrong() { # SUMS: the first file that is not what it says, nothing when all are
    [ -s "$1" ] || return 0
    found=$(cd "$here" && sha256sum --strict -c "$1" 2>/dev/null) && return 0
    name=$(printf '%s\n' "$found" | sed -n '/: FAILED/{s/: FAILED.*//p;q}')
    echo "${name:-$1}"
}

put() { # FROM TO: atomically; mode, owner and time come with FROM
    cp -p "$1" "$2.hacc-$run" && sync "$2.hacc-$run" && mv -f "$2.hacc-$run" "$2"
}

make_directory() { # PATH: with its parents, each noted so that it can be removed again
    [ -d "$1" ] && return 0
    make_directory "${1%/*}" && mkdir -m 0755 "$1" && echo "$1" >>"$here/made"
}

run_line() { # COMMAND: its output in $output. A subshell: what it sets, or leaves by exit, is its own
    output=$({ umask 022; eval "$1"; } 2>&1 </dev/null 3<&- 9>&-)
}

run_lines() { # FILE: run each line; the first that fails is said, with its output
    while IFS= read -r command <&3; do
        if ! run_line "$command"; then
            say "failed: $command"
            printf '%s\n' "$output" | tail -n 60
            return 1
        fi
    done 3<"$1"
}

same_modes() { # whether the files that were there have the modes that they had
    was=
    set --
    while read -r mode path; do
        was="$was$mode $path
"
        set -- "$@" "$path"
    done <"$here/modes"
    [ $# -eq 0 ] || [ "$(stat -c '%a %n' -- "$@" 2>/dev/null)" = "${was%?}" ]
}

unmoved() { # refuses a router that is not what the plan was made from
    while read -r number mode sum before path; do
        [ ! -L "$path" ] || refuse "$path is a symbolic link: its file is not ours to replace"
    done <"$here/manifest"
    while read -r path; do
        [ ! -e "$path" ] || moved "$path"
    done <"$here/absent"
    changed=$(wrong "$here/held")
    [ -z "$changed" ] || moved "$changed"
    same_modes || moved "the mode of a file"
}

with_units() { # COMMAND...: with the services of this run as its last words, if there are any
    [ -s "$here/units" ] || return 0
    while read -r unit; do set -- "$@" "$unit"; done <"$here/units"
    "$@"
}

services() { # UNIT ACTIVE ENABLED of each service of this run, a line each
    with_units systemctl show --property=Id,ActiveState,UnitFileState 2>/dev/null | {
        unit=
        while IFS='=' read -r name value; do
            case $name in
                Id) unit=$value ;;
                ActiveState) active=$value ;;
                UnitFileState) enabled=$value ;;
                '') [ -z "$unit" ] || echo "$unit $active $enabled"; unit= ;;
            esac
        done
        [ -z "$unit" ] || echo "$unit $active $enabled"
    }
}

unlimited() { # what we start counts from nothing: systemd refuses a sixth start in ten seconds
    with_units systemctl reset-failed >/dev/null 2>&1 || true
}

keep() { # what the way back needs: files, what `keep` saves, services
    [ -d "$here/previous" ] || mkdir "$here/previous" || return 1
    : >"$here/made"
    while read -r number mode sum before path; do
        [ "$before" = - ] || cp -p "$path" "$here/previous/$number" || return 1
    done <"$here/manifest"
    run_lines "$here/keep" || return 1
    services >"$here/previous/units"
    sync -f "$here"
}

swap() { # all new files beside their places and on the disk, then each into its place
    set --
    while read -r number mode sum before path; do
        [ "$sum" != - ] || continue
        make_directory "${path%/*}" || return 1
        if [ -e "$path" ]; then owner=$path; else owner=${path%/*}; fi
        cp -p "$here/new/$number" "$path.hacc-$run" || return 1
        { [ -O "$owner" ] && [ -G "$owner" ]; } ||
            chown --reference="$owner" "$path.hacc-$run" || return 1
        set -- "$@" "$path.hacc-$run"
    done <"$here/manifest"
    [ $# -eq 0 ] || sync "$@" || return 1
    while read -r number mode sum before path; do
        if [ "$sum" = - ]; then rm -f "$path"; else mv -f "$path.hacc-$run" "$path"; fi || return 1
    done <"$here/manifest"
}

in_place() { # whether every file holds what was sent
    while read -r number mode sum before path; do
        [ "$sum" != - ] || [ ! -e "$path" ] || return 1
    done <"$here/manifest"
    other=$(wrong "$here/placed")
    [ -z "$other" ]
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
    unlimited
    # Each command on its own: one that fails must not keep the others from being run.
    while IFS= read -r command <&3; do
        if ! run_line "$command"; then
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

after_boot() { # a timer does not outlive a reboot; this unit does, and takes back what it finds
    cat >"$boot_unit" <<-UNIT && mkdir -p "${boot_link%/*}" && ln -sf "$boot_unit" "$boot_link" &&
	[Unit]
	Description=HACC: take back a change that nobody has confirmed
	After=network.target frr.service keepalived.service snmpd.service
	After=hacc-agent.service hacc-hsrp.service
	[Service]
	Type=oneshot
	ExecStart=/bin/sh $here/apply.sh expire $run
	[Install]
	WantedBy=multi-user.target
	UNIT
    sync "$boot_unit"
}

forget() { rm -f "$boot_link" "$boot_unit"; }

disarm() {
    forget
    systemctl stop "$timer.timer" >/dev/null 2>&1
}

lock() { # wait at most $1 seconds for another run's hand to leave the router
    exec 9>"$base/apply.lock" && flock -w "$1" 9
}

prune() { # keep the newest 20 runs; the way back of older ones is the orchestrator's backup
    set -- "$base"/runs/*
    while [ $# -gt 20 ]; do
        case $(cat "$1/state" 2>/dev/null) in armed | applied) ;; *) rm -rf "$1" ;; esac
        shift
    done
}

case $verb in
apply)
    lock 5 || refuse "another run is being applied to this router"
    for other in $base/runs/*/state; do
        [ -f "$other" ] || continue
        read -r now <"$other" || now=
        case $now in armed | applied)
            refuse "run $(basename "$(dirname "$other")") is not confirmed yet on this router" ;;
        esac
    done
    command -v systemd-run >/dev/null || refuse "no systemd-run here, so no dead-man timer: nothing is sent without one"
    damaged=$(wrong "$here/arrived")
    [ -z "$damaged" ] || refuse "$damaged arrived damaged"
    unmoved
    run_lines "$here/check" || exit 10
    keep || refuse "cannot keep the previous files under $here (is the disk full?)"
    [ -z "$(wrong "$here/ran")" ] || moved "what FRR runs"
    after_boot && state armed || {
        forget
        refuse "cannot write $here/state, or $boot_unit"
    }
    read -r seconds <"$here/seconds"
    systemd-run --quiet --unit="$timer" --on-active="$seconds" --timer-property=AccuracySec=1s \
        /bin/sh "$here/apply.sh" expire "$run" >/dev/null 2>&1 9>&- || {
        state refused
        forget
        refuse "systemd-run did not arm the dead-man timer"
    }
    unlimited
    if run_lines "$here/hand-over" && swap && run_lines "$here/bring"; then
        # A command may have put another file in a new one's place.
        if in_place || { swap && in_place; }; then
            state applied
            exit 0
        fi
        say "${other:-a file that was to go} does not hold what was sent"
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
    down=$(services | sed -n 's/\.service failed .*//p')
    [ -z "$down" ] || refuse "$down did not stay up"
    state confirmed || refuse "cannot write $here/state"
    disarm
    rm -rf "$here/new"
    prune
    ;;
expire | restore)
    lock 300 || refuse "the router is busy"
    case $(state)/$verb in
        new/* | refused/* | restored/*) disarm; exit 0 ;;
        confirmed/expire) forget; exit 0 ;;
    esac
    if restore_all; then
        state restored
        rm -rf "$here/new"
        forget
        [ "$verb" = expire ] || disarm
        exit 0
    fi
    exit 12
    ;;
*) refuse "verb $verb?" ;;
esac
