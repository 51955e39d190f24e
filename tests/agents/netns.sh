#!/usr/bin/env bash
# Machines for a test of many: network namespaces that reach one another and nothing else.
#
#     netns.sh up NAME     NAME-s (198.18.7.1), NAME-a (198.18.7.2) and NAME-b (198.18.7.3), joined by a bridge in NAME-s; and
#                          by a second network, 198.18.8.1 to 198.18.8.3. `ip -n NAME-s link set bus-b down` cuts NAME-b off the
#                          first, load-b off the second.
#     netns.sh down NAME   takes them away, with everything that was in them
#
# Exit code 77: there is no right to make them here, or no program to do it by.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
name=${2:?usage: netns.sh up|down NAME}

down() {
    local part
    for part in s a b; do ip netns del "$name-$part" 2>/dev/null || true; done
}

case ${1:?} in
up)
    command -v ip >/dev/null || exit 77
    ip netns add "$name-s" 2>/dev/null || exit 77
    trap down ERR
    { ip -n "$name-s" link set lo up && ip -n "$name-s" link add try type bridge; } 2>/dev/null || { down; exit 77; }
    ip -n "$name-s" link del try
    for part in a b; do
        ip netns add "$name-$part"
        ip -n "$name-$part" link set lo up
    done
    for net in bus:7 load:8; do
        word=${net%:*} subnet=198.18.${net#*:}
        ip -n "$name-s" link add "$word" type bridge
        ip -n "$name-s" addr add "$subnet.1/24" dev "$word"
        ip -n "$name-s" link set "$word" up
        for part in a:2 b:3; do
            inside=$name-${part%:*}
            ip link add "$word" netns "$inside" type veth peer name "$word-${part%:*}" netns "$name-s"
            ip -n "$name-s" link set "$word-${part%:*}" master "$word" up
            ip -n "$inside" addr add "$subnet.${part#*:}/24" dev "$word"
            ip -n "$inside" link set "$word" up
        done
    done
    ;;
down) down ;;
esac
