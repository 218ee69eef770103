/* Sends small packets as fast as one core can, or at a rate, and says how many.
 *
 *   sender INTERFACE MAC tunnel|plain OUTER-OR-SOURCE FIRST COUNT SECONDS RATE PACKETS
 *
 * tunnel: IP in IP to OUTER, inner sources spread at random over COUNT addresses from FIRST on.
 * plain:  from SOURCE to destinations spread in the same way.
 * RATE 0: as fast as it goes. PACKETS 0: until SECONDS are over.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, INNER = 34, LENGTH = 14 + 20 + 20 + 8 + 16 };

static uint64_t state = 0x9E3779B97F4A7C15ull;

static uint32_t next(uint32_t below)
{
    state ^= state << 7;
    state ^= state >> 9;
    return (uint32_t)((state >> 32) * below >> 32);
}

static uint16_t checksum(const uint8_t *at)
{
    uint32_t sum = 0;
    for (int n = 0; n < 20; n += 2)
        sum += n == 10 ? 0 : at[n] << 8 | at[n + 1];
    sum = (sum & 0xFFFF) + (sum >> 16);
    return htons(~((sum & 0xFFFF) + (sum >> 16)) & 0xFFFF);
}

static void header(uint8_t *at, int length, int protocol, uint32_t source, uint32_t destination)
{
    memset(at, 0, 20);
    at[0] = 0x45;
    *(uint16_t *)(at + 2) = htons(length);
    at[8] = 64;
    at[9] = protocol;
    memcpy(at + 12, &source, 4);
    memcpy(at + 16, &destination, 4);
    *(uint16_t *)(at + 10) = checksum(at);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **word)
{
    if (count != 10)
        return 2;
    int tunnel = !strcmp(word[3], "tunnel");
    uint32_t other = inet_addr(word[4]), first = ntohl(inet_addr(word[5])), span = atoi(word[6]);
    double seconds = atof(word[7]), rate = atof(word[8]);
    uint64_t limit = strtoull(word[9], 0, 10), sent = 0;
    uint8_t mac[6];
    sscanf(word[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
           mac + 5);
    int link = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 8 << 20;
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(word[1])};
    if (link < 0 || bind(link, (void *)&place, sizeof place) < 0) {
        perror(word[1]);
        return 1;
    }
    setsockopt(link, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    setsockopt(link, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    static uint8_t frame[BATCH][LENGTH];
    struct iovec piece[BATCH];
    struct mmsghdr message[BATCH];
    memset(message, 0, sizeof message);
    for (int n = 0; n < BATCH; n++) {
        memcpy(frame[n], mac, 6);
        memcpy(frame[n] + 6, "\x02\0\0\0\0\x63", 6);
        frame[n][12] = 8;
        if (tunnel)
            header(frame[n] + 14, LENGTH - 14, 4, inet_addr("192.0.2.99"), other);
        piece[n] = (struct iovec){frame[n], LENGTH};
        message[n].msg_hdr.msg_iov = &piece[n];
        message[n].msg_hdr.msg_iovlen = 1;
    }
    double begin = now(), time = begin;
    while ((time = now()) - begin < seconds && (!limit || sent < limit)) {
        if (rate && sent >= (time - begin) * rate)
            continue;
        for (int n = 0; n < BATCH; n++) {
            uint32_t home = htonl(first + next(span));
            if (tunnel)
                header(frame[n] + INNER, LENGTH - INNER, 17, home, inet_addr("203.0.113.7"));
            else
                header(frame[n] + 14, LENGTH - 14, 17, other, home);
        }
        int done = sendmmsg(link, message, BATCH, 0);
        if (done > 0)
            sent += done;
    }
    printf("{\"sent\": %lu, \"seconds\": %f}\n", sent, time - begin);
    return 0;
}
