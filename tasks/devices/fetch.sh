# Prints what a router holds. Arguments: paths of files. Each item is a line KIND OCTETS NAME, then
# that many octets, then a newline; the last is the line `files`, then a tar archive to the end.
# POSIX sh; nothing here changes the router.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

item() { # KIND NAME TEXT
    printf '%s %s %s\n%s\n' "$1" "${#3}" "$2" "$3"
}

for path do
    shift
    if [ "$path" = /etc/frr/frr.conf ]; then
        item live "$path" "$(vtysh -c 'show running-config no-header' 2>/dev/null)"
    fi
    if [ -e "$path" ] || [ -L "$path" ]; then
        set -- "$@" "$path"
    fi
done
[ ! -f /etc/keepalived/keepalived.conf ] || item groups - "$(cat /etc/keepalived/keepalived.conf)"
[ ! -f /etc/hacc/hsrp.toml ] || item hsrp - "$(grep -v '^\(text\|md5\) ' /etc/hacc/hsrp.toml)"
item addresses - "$(ip -j -4 address show 2>/dev/null)"
echo files
[ $# -eq 0 ] || exec tar --no-recursion -cPf - -- "$@" 2>/dev/null
