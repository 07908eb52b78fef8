/* iscsiload: reads from an iSCSI unit over one connection, so many at once, and tells how many a second and how long each took.
 *   iscsiload HOST PORT TARGET LUN DEPTH BYTES SECONDS random|sequential UNIT_BYTES [FILE]
 * With FILE the whole unit is read once, and every byte compared with the file's. One line of JSON on standard output.
 * As light as it can be, so that the server is what limits: one read() for what has come, one write() for all commands that follow from it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { header = 48, most = 256, buckets = 2000000, segment = 262144 };
static int s;
static char fault[200];
static uint32_t cmdsn = 1, expstatsn;
static uint64_t began[most], place[most];
static uint32_t got[most], *histogram;
static unsigned char in[1 << 20], out[most * header];

static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static void put32(unsigned char *p, uint32_t v) { v = htonl(v); memcpy(p, &v, 4); }
static uint32_t get32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return ntohl(v); }
static void die(const char *why) { printf("{\"done\":0,\"seconds\":0,\"iops\":0,\"bytes\":0,\"p50\":0,\"p99\":0,\"faults\":1,\"fault\":\"%s\"}\n", why); exit(0); }
static void all(const void *p, size_t n) { for (const char *c = p; n > 0;) { ssize_t w = write(s, c, n); if (w <= 0) die("the connection broke while writing"); c += w; n -= w; } }
static void whole(void *p, size_t n) { for (char *c = p; n > 0;) { ssize_t r = read(s, c, n); if (r <= 0) die("the connection broke while reading"); c += r; n -= r; } }

/* One PDU, its data behind it in `in`. */
static uint32_t one(unsigned char *h) {
  whole(h, header);
  uint32_t n = h[5] << 16 | h[6] << 8 | h[7];
  if (n > sizeof in - 4) die("a PDU is too long");
  whole(in, (n + 3) & ~3u);
  expstatsn = get32(h + 24) + 1;
  return n;
}

static void login(const char *target) {
  char text[1024];
  int n = snprintf(text, sizeof text, "InitiatorName=iqn.2030-01.org.example:load%cTargetName=%s%cSessionType=Normal%cHeaderDigest=None%cDataDigest=None%cMaxRecvDataSegmentLength=%d%cMaxBurstLength=1048576%c", 0, target, 0, 0, 0, 0, segment, 0, 0);
  for (int round = 0; round < 8; round++) {
    unsigned char h[header] = { 0x43, 0x87 };
    h[5] = n >> 16; h[6] = n >> 8; h[7] = n;
    h[8] = 0x40; h[10] = 1; h[11] = 0x37;
    put32(h + 16, 1); put32(h + 24, cmdsn); put32(h + 28, expstatsn);
    all(h, header);
    memset(text + n, 0, 4);
    all(text, (n + 3) & ~3);
    one(h);
    if ((h[0] & 0x3f) != 0x23 || h[36] != 0) die("the login was refused");
    if ((h[1] & 0x83) == 0x83) return;
    n = 0;
  }
  die("the login never ended");
}

static void command(unsigned char *h, unsigned lun, uint32_t itt, uint32_t bytes, uint64_t offset) {
  memset(h, 0, header);
  h[0] = 0x01; h[1] = bytes ? 0xc0 : 0x80; h[9] = lun;
  put32(h + 16, itt); put32(h + 20, bytes); put32(h + 24, cmdsn++); put32(h + 28, expstatsn);
  if (bytes) { h[32] = 0x88; put32(h + 34, (offset / 512) >> 32); put32(h + 38, offset / 512); put32(h + 42, bytes / 512); }
}

static uint64_t seed = 88172645463325252ull;
static uint64_t dice(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed; }

int main(int argc, char **argv) {
  if (argc < 10) return 2;
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
  unsigned lun = atoi(argv[4]), depth = atoi(argv[5]), bytes = atoi(argv[6]);
  uint64_t size = strtoull(argv[9], 0, 10), units = size / bytes, next = 0, asked = 0, done = 0, all_of = 0;
  double seconds = atof(argv[7]);
  int chance = argv[8][0] == 'r', yes = 1;
  const unsigned char *file = 0;
  if (depth > most || depth < 1) return 2;
  if (argc > 10) {
    int f = open(argv[10], O_RDONLY);
    file = mmap(0, size, PROT_READ, MAP_SHARED, f, 0);
    if (f < 0 || file == MAP_FAILED) die("the file cannot be read");
    all_of = units; chance = 0;
  }
  histogram = calloc(buckets, sizeof *histogram);
  s = socket(AF_INET, SOCK_STREAM, 0);
  inet_pton(AF_INET, argv[1], &to.sin_addr);
  if (connect(s, (void *)&to, sizeof to) < 0) die("nothing listens there");
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  login(argv[3]);
  for (int round = 0; round < 4; round++) { /* what the unit has to tell at first */
    unsigned char h[header];
    command(h, lun, 0x7000, 0, 0); all(h, header); one(h);
    if (h[3] == 0) break;
  }

  uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), last = start;
  unsigned filled = 0, open_ = 0;
  size_t queued = 0;
  for (unsigned slot = 0; slot < depth; slot++) {
    if (all_of && asked == all_of) break;
    place[slot] = (chance ? dice() % units : next++ % units) * bytes; got[slot] = 0; began[slot] = start; asked++; open_++;
    command(out + queued, lun, slot, bytes, place[slot]); queued += header;
  }
  all(out, queued);
  while (open_ > 0) {
    ssize_t r = read(s, in + filled, sizeof in - filled);
    if (r <= 0) { snprintf(fault, sizeof fault, "the connection broke"); break; }
    filled += r; queued = 0;
    uint64_t t = now();
    unsigned at = 0;
    while (filled - at >= header) {
      unsigned char *h = in + at;
      uint32_t n = h[5] << 16 | h[6] << 8 | h[7], total = header + ((n + 3) & ~3u), itt = get32(h + 16);
      if (total > sizeof in) die("a PDU is too long");
      if (filled - at < total) break;
      at += total;
      int op = h[0] & 0x3f;
      if (op == 0x20) { /* asked whether anybody is there */
        unsigned char a[header] = { 0x40, 0x80 };
        put32(a + 16, 0xffffffff); memcpy(a + 20, h + 20, 4); put32(a + 24, cmdsn); put32(a + 28, expstatsn);
        all(a, header); continue;
      }
      if ((op != 0x25 && op != 0x21) || itt >= depth) { snprintf(fault, sizeof fault, "PDU %02x of task %u", op, itt); goto over; }
      if (op == 0x25) {
        uint32_t offset = get32(h + 40);
        if (offset != got[itt] || offset + n > bytes) { snprintf(fault, sizeof fault, "data out of place"); goto over; }
        if (file && memcmp(h + header, file + place[itt] + offset, n)) { snprintf(fault, sizeof fault, "wrong bytes at %llu", (unsigned long long)(place[itt] + offset)); goto over; }
        got[itt] += n;
      }
      if (op == 0x25 && !(h[1] & 1)) continue;
      if (h[3] != 0 || got[itt] != bytes) { snprintf(fault, sizeof fault, "status %02x, %u bytes", h[3], got[itt]); goto over; }
      expstatsn = get32(h + 24) + 1;
      uint64_t took = (t - began[itt]) / 1000;
      histogram[took < buckets ? took : buckets - 1]++;
      done++; open_--; last = t;
      if (all_of ? asked == all_of : t >= end) continue;
      place[itt] = (chance ? dice() % units : next++ % units) * bytes; got[itt] = 0; began[itt] = t; asked++; open_++;
      command(out + queued, lun, itt, bytes, place[itt]); queued += header;
    }
    memmove(in, in + at, filled - at); filled -= at;
    if (queued) all(out, queued);
  }
over:;
  double took = (last - start) / 1e9;
  uint64_t sum = 0; unsigned p50 = 0, p99 = 0;
  for (unsigned i = 0; i < buckets; i++) { sum += histogram[i]; if (!p50 && sum * 2 >= done && done) p50 = i + 1; if (!p99 && sum * 100 >= done * 99 && done) p99 = i + 1; }
  printf("{\"done\":%llu,\"seconds\":%.3f,\"iops\":%.0f,\"bytes\":%llu,\"p50\":%.3f,\"p99\":%.3f,\"faults\":%d,\"fault\":\"%s\"}\n", (unsigned long long)done, took, took > 0 ? done / took : 0, (unsigned long long)done * bytes, p50 / 1e3, p99 / 1e3, fault[0] != 0, fault);
  return 0;
}
