// The limit: a relay in C with the system calls of ours and next to no work.
//
//     relay udp    ADDRESS PORT FIRST_MEMBER MEMBERS [gso]
//     relay frames INTERFACE ADDRESS FIRST_MEMBER MEMBERS MACS
//
// A request goes to member (Identification mod MEMBERS), its reply to whom the request came from;
// who that was stands in a ring, found by the low 16 bits of the Identification. No extension is
// looked at, no table, no log. `gso` joins datagrams of one destination and length (UDP_SEGMENT).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 256
#define OCTETS 1536
#define RING 65536
#define UDP_SEGMENT 103
#define HEADERS 42  // Ethernet, IPv4 without options, UDP

static uint8_t buffers[BATCH][OCTETS];
static struct iovec in[BATCH], out[BATCH];
static struct mmsghdr received[BATCH], sent[BATCH];
static struct sockaddr_in from[BATCH], to[BATCH], members[64], asked[RING];
static uint8_t asked_mac[RING][6];
static int count;

static void fail(const char *what) { perror(what); exit(1); }
static uint16_t low(const uint8_t *identification) {  // of its last two octets
    return identification[6] << 8 | identification[7];
}

static void send_all(int s, struct mmsghdr *messages, int n) {
    for (int at = 0; at < n;) {
        int done = sendmmsg(s, messages + at, n - at, 0);
        if (done <= 0) return;
        at += done;
    }
}

static int decide(uint8_t *payload, int octets, struct sockaddr_in *source, struct sockaddr_in *target) {
    if (octets >= 24 && payload[0] == 1) {
        uint16_t id = low(payload + 16);
        asked[id] = *source;
        *target = members[id % count];
        return 1;
    }
    if (octets >= 20 && payload[0] == 3) {
        *target = asked[low(payload + 12)];
        return 1;
    }
    return 0;
}

static void segmented(int s, int k) {
    static struct iovec joined[BATCH];
    static struct mmsghdr messages[BATCH];
    static char control[BATCH][CMSG_SPACE(2)];
    static uint8_t done[BATCH];
    memset(done, 0, k);
    int groups = 0, at = 0;
    for (int i = 0; i < k; i++) {
        if (done[i]) continue;
        int first = at;
        for (int j = i; j < k && at - first < 64; j++)
            if (!done[j] && out[j].iov_len == out[i].iov_len && to[j].sin_port == to[i].sin_port &&
                to[j].sin_addr.s_addr == to[i].sin_addr.s_addr) {
                done[j] = 1;
                joined[at++] = out[j];
            }
        struct msghdr *m = &messages[groups].msg_hdr;
        memset(m, 0, sizeof *m);
        m->msg_name = &to[i];
        m->msg_namelen = sizeof to[i];
        m->msg_iov = joined + first;
        m->msg_iovlen = at - first;
        if (at - first > 1) {
            m->msg_control = control[groups];
            m->msg_controllen = sizeof control[groups];
            struct cmsghdr *c = CMSG_FIRSTHDR(m);
            c->cmsg_level = IPPROTO_UDP;
            c->cmsg_type = UDP_SEGMENT;
            c->cmsg_len = CMSG_LEN(2);
            *(uint16_t *)CMSG_DATA(c) = out[i].iov_len;
        }
        groups++;
    }
    send_all(s, messages, groups);
}

static void udp(char **v, int gso) {
    count = atoi(v[5]);
    for (int i = 0; i < count; i++)
        members[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(v[3])),
                                          .sin_addr.s_addr = htonl(ntohl(inet_addr(v[4])) + i)};
    int s = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(v[3])), .sin_addr.s_addr = inet_addr(v[2])};
    if (bind(s, (void *)&own, sizeof own)) fail("bind");
    for (int i = 0; i < BATCH; i++) {
        in[i].iov_base = buffers[i];
        received[i].msg_hdr.msg_iov = &in[i];
        received[i].msg_hdr.msg_iovlen = 1;
        received[i].msg_hdr.msg_name = &from[i];
        sent[i].msg_hdr.msg_iov = &out[i];
        sent[i].msg_hdr.msg_iovlen = 1;
        sent[i].msg_hdr.msg_name = &to[i];
        sent[i].msg_hdr.msg_namelen = sizeof to[i];
    }
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(poll, EPOLL_CTL_ADD, s, &event);
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            in[i].iov_len = OCTETS;
            received[i].msg_hdr.msg_namelen = sizeof from[i];
        }
        int n = recvmmsg(s, received, BATCH, MSG_DONTWAIT, 0), k = 0;
        if (n <= 0) {
            epoll_wait(poll, &event, 1, -1);
            continue;
        }
        for (int i = 0; i < n; i++)
            if (decide(buffers[i], received[i].msg_len, &from[i], &to[k])) {
                out[k].iov_base = buffers[i];
                out[k++].iov_len = received[i].msg_len;
            }
        if (gso) segmented(s, k);
        else send_all(s, sent, k);
    }
}

static uint16_t checksum(const uint8_t *header) {
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2) sum += header[i] << 8 | header[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static void frames(char **v) {
    uint8_t macs[64][6], own[6];
    count = atoi(v[5]);
    for (int i = 0; i < count; i++) {
        unsigned m[6];
        if (sscanf(v[6] + 18 * i, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) exit(1);
        for (int k = 0; k < 6; k++) macs[i][k] = m[k];
    }
    uint32_t address = inet_addr(v[3]);
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), size = 64 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    struct sock_filter code[] = {  // UDP to port 434, not what we send ourselves
        {0x30, 0, 0, 23}, {0x15, 0, 5, 17},
        {0x28, 0, 0, 36}, {0x15, 0, 3, 434},
        {0x20, 0, 0, 0xfffff000 + 4 /* SKF_AD_PKTTYPE */}, {0x15, 1, 0, 4 /* PACKET_OUTGOING */},
        {0x06, 0, 0, 0xffff}, {0x06, 0, 0, 0},
    };
    struct sock_fprog filter = {8, code};
    if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter)) fail("filter");
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = if_nametoindex(v[2])};
    if (bind(s, (void *)&ll, sizeof ll)) fail("bind");
    int one = 1;
    setsockopt(s, SOL_PACKET, 20 /* PACKET_QDISC_BYPASS */, &one, sizeof one);
    struct ifreq request = {0};
    strncpy(request.ifr_name, v[2], IFNAMSIZ - 1);
    if (ioctl(s, 0x8927 /* SIOCGIFHWADDR */, &request)) fail("hardware address");
    memcpy(own, request.ifr_hwaddr.sa_data, 6);
    for (int i = 0; i < BATCH; i++) {
        in[i].iov_base = buffers[i];
        received[i].msg_hdr.msg_iov = &in[i];
        received[i].msg_hdr.msg_iovlen = 1;
        sent[i].msg_hdr.msg_iov = &out[i];
        sent[i].msg_hdr.msg_iovlen = 1;
    }
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(poll, EPOLL_CTL_ADD, s, &event);
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) in[i].iov_len = OCTETS;
        int n = recvmmsg(s, received, BATCH, MSG_DONTWAIT, 0), k = 0;
        if (n <= 0) {
            epoll_wait(poll, &event, 1, -1);
            continue;
        }
        for (int i = 0; i < n; i++) {
            uint8_t *f = buffers[i], *payload = f + HEADERS;
            int octets = received[i].msg_len - HEADERS;
            if (octets >= 24 && payload[0] == 1) {
                uint16_t id = low(payload + 16);
                memcpy(&asked[id].sin_addr, f + 26, 4);
                memcpy(&asked[id].sin_port, f + 34, 2);
                memcpy(asked_mac[id], f + 6, 6);
                memcpy(f, macs[id % count], 6);
            } else if (octets >= 20 && payload[0] == 3) {
                uint16_t id = low(payload + 12);
                memcpy(f + 26, &address, 4);
                memcpy(f + 30, &asked[id].sin_addr, 4);
                memcpy(f + 36, &asked[id].sin_port, 2);
                f[24] = f[25] = f[40] = f[41] = 0;  // a UDP checksum of 0: none
                uint16_t sum = checksum(f + 14);
                f[24] = sum >> 8;
                f[25] = sum;
                memcpy(f, asked_mac[id], 6);
            } else continue;
            memcpy(f + 6, own, 6);
            out[k].iov_base = f;
            out[k++].iov_len = received[i].msg_len;
        }
        send_all(s, sent, k);
    }
}

int main(int c, char **v) {
    if (c >= 6 && !strcmp(v[1], "udp")) udp(v, c > 6);
    if (c == 7 && !strcmp(v[1], "frames")) frames(v);
    fprintf(stderr, "relay udp ADDRESS PORT FIRST_MEMBER MEMBERS [gso] | relay frames INTERFACE ADDRESS FIRST_MEMBER MEMBERS MACS\n");
    return 1;
}
