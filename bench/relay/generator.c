// Foreign Agents on one side, members on the other, and the clock: what a relay is measured with.
//
//     generator udp    ADDRESS PORT FIRST_MEMBER MEMBERS FIRST_AGENT AGENTS WINDOW SECONDS NODES LENGTHS
//     generator frames INTERFACE ADDRESS MAC FIRST_MEMBER MEMBERS FIRST_AGENT AGENTS WINDOW SECONDS NODES LENGTHS
//     generator member ADDRESS PORT FIRST_AGENT AGENTS WINDOW SECONDS NODES SPI KEY
//
// A closed loop: WINDOW registrations are under way, one thread spins. Mobile node i of NODES has
// home address 10.0.0.0 + i and the NAI uNNNNNNN@example.net; with LENGTHS above 1 it is another
// one, 10.16.0.0 + i and vNNNNNNN@example.net with up to LENGTHS - 1 octets more. Its authenticator is a constant, since a relay does not look. `member` plays the controller of a
// cluster: home address 0, timestamps as Identification, HMAC-MD5 with KEY (hexadecimal) in each.
// One line of JSON: registrations a second after half a second of warming up, percentiles, losses.
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define OCTETS 512
#define RING 65536
#define HEADERS 42
#define BUCKETS 100000  // of a microsecond

static uint64_t steady(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static uint64_t state = 88172645463325252ull;
static uint64_t chance(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static void fail(const char *what) { perror(what); exit(1); }

// ---------------------------------------------------------------- MD5 (RFC 1321), HMAC (RFC 2104)
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t turns[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void block(uint32_t h[4], const uint8_t *octets) {
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], w[16];
    memcpy(w, octets, 64);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        if (i < 16) f = (b & c) | (~b & d), g = i;
        else if (i < 32) f = (d & b) | (~d & c), g = (5 * i + 1) & 15;
        else if (i < 48) f = b ^ c ^ d, g = (3 * i + 5) & 15;
        else f = c ^ (b | ~d), g = (7 * i) & 15;
        f += a + sines[i] + w[g];
        int turn = turns[(i >> 4) * 4 + (i & 3)];
        a = d, d = c, c = b, b += f << turn | f >> (32 - turn);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}
static uint32_t inner[4], outer[4];  // states after the padded key
static const uint32_t start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

static void set_key(const uint8_t *key, int octets) {
    uint8_t pad[64];
    for (int side = 0; side < 2; side++) {
        memset(pad, side ? 0x5c : 0x36, 64);
        for (int i = 0; i < octets; i++) pad[i] ^= key[i];
        memcpy(side ? outer : inner, start, 16);
        block(side ? outer : inner, pad);
    }
}
static void finish(const uint32_t from[4], const uint8_t *data, int octets, uint8_t *digest) {
    uint32_t h[4];
    memcpy(h, from, 16);
    uint8_t last[128] = {0};
    int at = 0;
    for (; at + 64 <= octets; at += 64) block(h, data + at);
    memcpy(last, data + at, octets - at);
    last[octets - at] = 0x80;
    int end = octets - at < 56 ? 64 : 128;
    uint64_t bits = (64ull + octets) * 8;
    memcpy(last + end - 8, &bits, 8);
    for (int i = 0; i < end; i += 64) block(h, last + i);
    memcpy(digest, h, 16);
}
static void hmac(const uint8_t *data, int octets, uint8_t *digest) {
    uint8_t first[16];
    finish(inner, data, octets, first);
    finish(outer, first, 16, digest);
}

// ---------------------------------------------------------------- what is measured
static uint32_t histogram[BUCKETS];
static uint64_t begun[RING], done, counted, lost, codes[256];
static uint32_t sequence;
static int window, nodes, lengths = 1, members = 1, agents, under_way;
static uint32_t address, agent, member;
static uint32_t era;  // later in each run: who renews is newer than he was before
static double seconds;

static void put32(uint8_t *p, uint32_t value) { value = htonl(value); memcpy(p, &value, 4); }
static void put16(uint8_t *p, uint16_t value) { value = htons(value); memcpy(p, &value, 2); }

static int nai(uint8_t *p, uint32_t i) {
    static const char digits[] = "0123456789";
    memcpy(p, "\x83\x14u0000000@example.net", 22);
    p[2] = lengths > 1 ? 'v' : 'u';
    for (int k = 9; k > 2; k--, i /= 10) p[k] = digits[i % 10];
    return 22;
}
static int request(uint8_t *p, uint32_t care_of, uint64_t now) {
    // A mobile node stays where it is: it renews through its own Foreign Agent.
    uint32_t i = chance() % (nodes / agents) * agents + (care_of - agent) % agents;
    sequence++;
    begun[sequence & 0xffff] = now;
    p[0] = 1;
    p[1] = 0x02;  // reverse tunnelling
    put16(p + 2, 1800);
    put32(p + 4, (lengths > 1 ? 0x0a100000 : 0x0a000000) + i);
    put32(p + 8, address);
    put32(p + 12, care_of);
    put32(p + 16, era);
    put32(p + 20, sequence);
    int at = 24 + nai(p + 24, i), more = i % lengths;
    memset(p + at, 'x', more);
    p[25] += more;
    at += more;
    p[at] = 32;
    p[at + 1] = 20;
    put32(p + at + 2, 256);
    memset(p + at + 6, 0xab, 16);
    return at + 22;
}
static int reply(const uint8_t *q, int octets, uint8_t *p) {
    p[0] = 3;
    p[1] = 0;
    memcpy(p + 2, q + 2, 2);
    memcpy(p + 4, q + 4, 8);
    memcpy(p + 12, q + 16, 8);
    memcpy(p + 20, q + 24, octets - 24);
    return octets - 4;
}
static void answered(const uint8_t *p, int octets, uint64_t now) {
    if (octets < 20 || p[0] != 3) return;
    uint32_t low;
    memcpy(&low, p + 16, 4);
    uint64_t us = (now - begun[ntohl(low) & 0xffff]) / 1000;
    histogram[us < BUCKETS ? us : BUCKETS - 1]++;
    codes[p[1]]++;
    done++;
    under_way--;
}
static uint64_t first, warm, last, progress;
static int running(uint64_t now) {
    if (!first) first = last = now;
    if (!warm && now - first > 500000000ull) {
        warm = now;
        counted = done;
        memset(histogram, 0, sizeof histogram);
        memset(codes, 0, sizeof codes);
    }
    if (done != progress) progress = done, last = now;
    else if (now - last > 200000000ull) lost += under_way, under_way = 0, last = now;
    if (now - first < seconds * 1e9) return 1;
    // Nothing begins any more, and what is under way ends: a request that nobody answers would tell
    // the controller that its members are dead, and the next run would measure a failover.
    window = 0;
    return under_way > 0 && now - first < seconds * 1e9 + 300000000ull;
}
static void report(void) {
    uint64_t total = 0, sum = 0, p50 = 0, p99 = 0, now = steady();
    for (int i = 0; i < BUCKETS; i++) total += histogram[i];
    for (int i = 0; i < BUCKETS; i++) {
        sum += histogram[i];
        if (!p50 && sum * 2 >= total) p50 = i;
        if (!p99 && sum * 100 >= total * 99) p99 = i;
    }
    printf("{\"per_second\": %.0f, \"registrations\": %lu, \"lost\": %lu, \"p50_us\": %lu, \"p99_us\": %lu, \"denied\": %lu, \"all\": %lu}\n",
           (done - counted) * 1e9 / (now - warm), done - counted, lost, p50, p99, total - codes[0] - codes[1], done);
}

static uint8_t rx[BATCH][OCTETS], tx[BATCH][OCTETS];
static struct iovec rio[BATCH], tio[BATCH];
static struct mmsghdr rm[BATCH], tm_[BATCH];
static struct sockaddr_in ra[BATCH], ta[BATCH];

static int opened(uint32_t at, int port) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), v = 16 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v);
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof v);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(at)};
    if (bind(s, (void *)&a, sizeof a)) fail("bind");
    return s;
}
static void rings(void) {
    for (int i = 0; i < BATCH; i++) {
        rio[i].iov_base = rx[i];
        tio[i].iov_base = tx[i];
        rm[i].msg_hdr.msg_iov = &rio[i];
        rm[i].msg_hdr.msg_iovlen = 1;
        tm_[i].msg_hdr.msg_iov = &tio[i];
        tm_[i].msg_hdr.msg_iovlen = 1;
    }
}
static int receive(int s, int named) {
    for (int i = 0; i < BATCH; i++) {
        rio[i].iov_len = OCTETS;
        rm[i].msg_hdr.msg_name = named ? &ra[i] : 0;
        rm[i].msg_hdr.msg_namelen = named ? sizeof ra[i] : 0;
    }
    int n = recvmmsg(s, rm, BATCH, MSG_DONTWAIT, 0);
    return n > 0 ? n : 0;
}
static int send_out(int s, int n) {
    int r = n ? sendmmsg(s, tm_, n, 0) : 0;
    return r > 0 ? r : 0;
}

static void udp(int port) {
    int fa[256], ha[64];
    struct sockaddr_in relay = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    for (int i = 0; i < members; i++) ha[i] = opened(member + i, port);
    int out[256] = {0};
    for (int i = 0; i < agents; i++) {
        fa[i] = opened(agent + i, 0);
        if (connect(fa[i], (void *)&relay, sizeof relay)) fail("connect");
    }
    int share = window / agents > 0 ? window / agents : 1;
    rings();
    for (uint64_t now; running(now = steady());) {
        if (!under_way) memset(out, 0, sizeof out);  // also after a loss
        if (!window) share = 0;
        for (int i = 0; i < agents; i++) {
            int k = share - out[i] < BATCH ? share - out[i] : BATCH;
            for (int j = 0; j < k; j++) {
                tio[j].iov_len = request(tx[j], agent + i, now);
                tm_[j].msg_hdr.msg_name = 0;
                tm_[j].msg_hdr.msg_namelen = 0;
            }
            int r = send_out(fa[i], k > 0 ? k : 0);
            out[i] += r;
            under_way += r;
        }
        for (int i = 0; i < members; i++) {
            int r = receive(ha[i], 1), k = 0;
            for (int j = 0; j < r; j++) {
                if (rm[j].msg_len < 24) continue;
                tio[k].iov_len = reply(rx[j], rm[j].msg_len, tx[k]);
                ta[k] = ra[j];
                tm_[k].msg_hdr.msg_name = &ta[k];
                tm_[k++].msg_hdr.msg_namelen = sizeof ta[j];
            }
            send_out(ha[i], k);
        }
        now = steady();
        for (int i = 0; i < agents; i++) {
            int r = out[i] > 0 ? receive(fa[i], 0) : 0;
            for (int j = 0; j < r; j++) answered(rx[j], rm[j].msg_len, now);
            out[i] -= r;
        }
    }
}

static int headers(uint8_t *f, const uint8_t *to, const uint8_t *mac, uint32_t source, uint32_t target, int port, int octets) {
    memcpy(f, to, 6);
    memcpy(f + 6, mac, 6);
    memcpy(f + 12, "\x08\x00\x45\x00", 4);
    put16(f + 16, 28 + octets);
    memcpy(f + 18, "\0\0\0\0\x40\x11\0\0", 8);
    put32(f + 26, source);
    put32(f + 30, target);
    uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2) sum += f[i] << 8 | f[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    put16(f + 24, ~sum);
    put16(f + 34, port);
    put16(f + 36, 434);
    put16(f + 38, 8 + octets);
    put16(f + 40, 0);
    return HEADERS + octets;
}

static void frames(const char *interface, const char *mac) {
    unsigned m[6];
    uint8_t relay[6], member_mac[6] = {2, 0, 0, 0, 1, 0}, agent_mac[6] = {2, 0, 0, 0, 2, 0};
    if (sscanf(mac, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) exit(1);
    for (int i = 0; i < 6; i++) relay[i] = m[i];
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_IP)), v = 64 << 20, one = 1;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v);
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof v);
    setsockopt(s, SOL_PACKET, 20 /* PACKET_QDISC_BYPASS */, &one, sizeof one);
    struct sock_filter code[] = {{0x20, 0, 0, 0xfffff000 + 4}, {0x15, 0, 1, 4}, {0x06, 0, 0, 0}, {0x06, 0, 0, 0xffff}};
    struct sock_fprog filter = {4, code};  // not what we send ourselves
    if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter)) fail("filter");
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = if_nametoindex(interface)};
    if (bind(s, (void *)&ll, sizeof ll)) fail("bind");
    struct packet_mreq promiscuous = {.mr_ifindex = ll.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous)) fail("promiscuous");
    rings();
    for (uint64_t now; running(now = steady());) {
        int k = window - under_way < BATCH ? window - under_way : BATCH;
        for (int j = 0; j < k; j++) {
            int i = sequence % agents;
            int octets = request(tx[j] + HEADERS, agent + i, now);
            tio[j].iov_len = headers(tx[j], relay, agent_mac, agent + i, address, 434, octets);
        }
        under_way += send_out(s, k > 0 ? k : 0);
        int r = receive(s, 0), n = 0;
        now = steady();
        for (int j = 0; j < r; j++) {
            uint8_t *f = rx[j];
            if ((int)rm[j].msg_len < HEADERS + 20 || f[23] != 17) continue;
            int octets = (f[38] << 8 | f[39]) - 8;
            if (f[4] == 2) answered(f + HEADERS, octets, now);  // to the Foreign Agents' router
            else if (f[4] == 1 && f[HEADERS] == 1) {
                member_mac[5] = f[5];
                octets = reply(f + HEADERS, octets, tx[n] + HEADERS);
                tio[n].iov_len = headers(tx[n], f + 6, member_mac, member + f[5], address, 434, octets);
                n++;
            }
        }
        send_out(s, n);
    }
}

static void as_controller(int port, uint32_t spi) {
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int s = opened(agent, 0);
    if (connect(s, (void *)&target, sizeof target)) fail("connect");
    rings();
    for (uint64_t now; running(now = steady());) {
        int k = window - under_way < BATCH ? window - under_way : BATCH;
        for (int j = 0; j < k; j++) {
            uint8_t *p = tx[j];
            int octets = request(p, agent + 1 + sequence % agents, now);
            put32(p + 4, 0);
            struct timespec wall;
            clock_gettime(CLOCK_REALTIME, &wall);
            // 2,208,988,800 s from 1900 to 1970; the low 16 bits find the time of the request again
            put32(p + 16, wall.tv_sec + 2208988800u);
            put32(p + 20, ((uint32_t)((wall.tv_nsec * 4294967296.0) / 1e9) & 0xffff0000) | (sequence & 0xffff));
            put32(p + octets - 20, spi);
            hmac(p, octets - 16, p + octets - 16);
            tio[j].iov_len = octets;
        }
        under_way += send_out(s, k > 0 ? k : 0);
        int r = receive(s, 0);
        now = steady();
        for (int j = 0; j < r; j++) answered(rx[j], rm[j].msg_len, now);
    }
}

static uint32_t ip(const char *text) { return ntohl(inet_addr(text)); }

int main(int c, char **v) {
    era = time(0) + 2208988800u;  // seconds since 1900, as in a timestamp
    if (c == 12 && !strcmp(v[1], "udp")) {
        address = ip(v[2]), member = ip(v[4]), members = atoi(v[5]), agent = ip(v[6]), agents = atoi(v[7]);
        window = atoi(v[8]), seconds = atof(v[9]), nodes = atoi(v[10]), lengths = atoi(v[11]);
        udp(atoi(v[3]));
    } else if (c == 13 && !strcmp(v[1], "frames")) {
        address = ip(v[3]), member = ip(v[5]), members = atoi(v[6]), agent = ip(v[7]), agents = atoi(v[8]);
        window = atoi(v[9]), seconds = atof(v[10]), nodes = atoi(v[11]), lengths = atoi(v[12]);
        frames(v[2], v[4]);
    } else if (c == 11 && !strcmp(v[1], "member")) {
        uint8_t key[64];
        int octets = strlen(v[10]) / 2;
        for (int i = 0; i < octets && i < 64; i++) sscanf(v[10] + 2 * i, "%2hhx", key + i);
        set_key(key, octets);
        address = ip(v[2]), agent = ip(v[4]), agents = atoi(v[5]);
        window = atoi(v[6]), seconds = atof(v[7]), nodes = atoi(v[8]);
        as_controller(atoi(v[3]), strtoul(v[9], 0, 0));
    } else {
        fprintf(stderr, "generator udp|frames|member ...: see the head of generator.c\n");
        return 1;
    }
    report();
    return 0;
}
