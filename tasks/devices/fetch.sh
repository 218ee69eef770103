# Prints what a router holds. Arguments: paths of files. Each item is a line
# KIND MODE OCTETS NAME, then that many octets, then a newline.
# POSIX sh; nothing here changes the router.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

item() { # KIND NAME TEXT
    printf '%s 0 %s %s\n%s\n' "$1" "${#3}" "$2" "$3"
}

file() { # PATH
    if [ -L "$1" ]; then
        item link "$1" "$(readlink "$1")"
    elif [ -f "$1" ]; then
        printf 'file %s %s %s\n' "$(stat -c %a "$1")" "$(stat -c %s "$1")" "$1"
        cat "$1"
        echo
    else
        item none "$1" ""
    fi
}

for path do
    file "$path"
    if [ "$path" = /etc/frr/frr.conf ]; then
        item live "$path" "$(vtysh -c 'show running-config' 2>/dev/null)"
    fi
done
[ -f /etc/keepalived/keepalived.conf ] && item groups - "$(cat /etc/keepalived/keepalived.conf)"
item addresses - "$(ip -j -4 address show 2>/dev/null)"
exit 0
