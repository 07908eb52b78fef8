/* Machines that are all switched on at once: each gets an address (four packets, as UEFI firmware behind a relay), the loader it is told of by TFTP,
 * the script by HTTP, and the kernel and initrd that the script names. Says in one line of JSON how it went.
 *   stormload -s DHCP_SERVER -g GIADDR -n CLIENTS -o FIRST -u SCRIPT_URL -L LOADERS -K KERNEL -I INITRD [-w WINDOW] [-D SECONDS]
 * %m in the URL is the client's MAC. Every byte is compared: the loader with the file of that name in LOADERS, kernel and initrd with the files given.
 * Firmware's own patience: DHCP asks again after 1, 2, 4, 8 s; TFTP (blocks of 1,468 bytes, windows of 4 as EDK2 asks for, 1: none)
 * repeats after 1 s, ten times; HTTP waits 30 s.
 * One thread for DHCP, one for each client that has its address; no dependencies. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK };
enum { PHASE_DHCP, PHASE_LOADER, PHASE_SCRIPT, PHASE_KERNEL, PHASE_INITRD, PHASES };
static const char *const names[PHASES] = { "dhcp", "loader", "script", "kernel", "initrd" };

struct reference { unsigned char *data; long size; };
struct client {
  int number, state, tries, failed;            /* state: the message that was sent last, ACK when bound */
  uint32_t address, server, next;              /* network order */
  char file[129];
  double began, sent, at[PHASES];
  long tftp_again;
  pthread_t thread;
};
static struct client *clients;
static int count = 200, first, dhcp_socket, window = 4;
static uint32_t giaddr, dhcp_server;
static const char *url, *loaders;
static struct reference kernel, initrd;
static double deadline = 120, start;
static long dhcp_again;
static char fault_text[256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static int fail(struct client *c, const char *what, const char *why) {
  c->failed = 1;
  pthread_mutex_lock(&lock);
  if (!fault_text[0]) snprintf(fault_text, sizeof fault_text, "client %d, %s: %s", c->number, what, why);
  for (char *at = fault_text; *at; at++) if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ') *at = '\'';
  pthread_mutex_unlock(&lock);
  return -1;
}
static int load(const char *path, struct reference *file) {
  int fd = open(path, O_RDONLY);
  struct stat about;
  if (fd < 0 || fstat(fd, &about)) { if (fd >= 0) close(fd); return -1; }
  file->size = about.st_size;
  file->data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  close(fd);
  return file->data == MAP_FAILED ? -1 : 0;
}

/* ---- DHCP */
static void say(struct client *c, int type) {
  unsigned char p[548] = { 1, 1, 6, 1 }, *o = p + 240;
  uint32_t word = htonl(0x51000000u + c->number);
  memcpy(p + 4, &word, 4);
  memcpy(p + 24, &giaddr, 4);
  word = htonl(c->number);
  p[28] = 0x02; p[29] = 0x57; memcpy(p + 30, &word, 4);
  memcpy(p + 236, "\x63\x82\x53\x63", 4);
  *o++ = 53; *o++ = 1; *o++ = type;
  if (type == REQUEST) { *o++ = 50; *o++ = 4; memcpy(o, &c->address, 4); o += 4; *o++ = 54; *o++ = 4; memcpy(o, &c->server, 4); o += 4; }
  memcpy(o, "\x39\x02\x05\xc0\x5d\x02\x00\x07\x5e\x03\x01\x03\x10\x37\x09\x01\x03\x06\x0c\x0d\x2b\x3c\x42\x43", 24); o += 24;
  memcpy(o, "\x3c\x20PXEClient:Arch:00007:UNDI:003016", 34); o += 34;
  *o++ = 61; *o++ = 7; *o++ = 1; memcpy(o, p + 28, 6); o += 6;
  *o++ = 255;
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(67), .sin_addr.s_addr = dhcp_server };
  c->state = type;
  c->sent = now();
  sendto(dhcp_socket, p, o - p < 300 ? 300 : o - p, 0, (struct sockaddr *)&to, sizeof to);
}
/* An answer to a client; 1 when it is bound by it. */
static int hear(const unsigned char *p, ssize_t length) {
  uint32_t xid;
  if (length < 244 || p[0] != 2) return 0;
  memcpy(&xid, p + 4, 4);
  long index = (long)(ntohl(xid) - 0x51000000u) - first;
  if (index < 0 || index >= count) return 0;
  struct client *c = clients + index;
  int type = 0;
  uint32_t server = 0;
  char file[129] = "", next[64] = "";
  memcpy(file, p + 108, 128);
  memcpy(&c->next, p + 20, 4);
  for (ssize_t at = 240; at + 1 < length && p[at] != 255;) {
    if (p[at] == 0) { at++; continue; }
    int size = p[at + 1];
    if (at + 2 + size > length) break;
    if (p[at] == 53) type = p[at + 2];
    if (p[at] == 54 && size == 4) memcpy(&server, p + at + 2, 4);
    if (p[at] == 67 && size < 129) { memcpy(file, p + at + 2, size); file[size] = 0; }
    if (p[at] == 66 && size < 64) { memcpy(next, p + at + 2, size); next[size] = 0; }
    at += 2 + size;
  }
  if (!c->next && next[0]) inet_pton(AF_INET, next, &c->next);
  if (type == OFFER && c->state == DISCOVER) { memcpy(&c->address, p + 16, 4); c->server = server; c->tries = 0; say(c, REQUEST); return 0; }
  if (type == NAK && c->state == REQUEST) { c->tries = 0; dhcp_again++; say(c, DISCOVER); return 0; }
  if (type != ACK || c->state != REQUEST) return 0;
  memcpy(c->file, file, sizeof file);
  if (!c->next) c->next = c->server;
  c->state = ACK;
  c->at[PHASE_DHCP] = now();
  return 1;
}

/* ---- TFTP */
static int loader(struct client *c) {
  struct reference expected;
  char path[512], why[128];
  const char *base = c->file + strspn(c->file, "/");
  if (!base[0] || strstr(base, "..")) return fail(c, "loader", "no boot file was named");
  snprintf(path, sizeof path, "%s/%s", loaders, base);
  if (load(path, &expected)) return fail(c, "loader", "a boot file was named that is none of the loaders");
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = -1;
  struct timeval wait = { 1, 0 };
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(69), .sin_addr.s_addr = c->next }, from;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  unsigned char last[600], in[2048];
  size_t length = 2 + snprintf((char *)last + 2, 500, "%s%coctet%cblksize%c1468%ctsize%c0", base, 0, 0, 0, 0, 0) + 1;
  if (window > 1) length += snprintf((char *)last + length, 40, "windowsize%c%d", 0, window) + 1;
  last[0] = 0; last[1] = 1;
  int known = 0, block = 512, quiet = 0, agreed = 1, open = 0;
  long got = 0;
  uint16_t want = 1;
  sendto(fd, last, length, 0, (struct sockaddr *)&to, sizeof to);
  for (;;) {
    socklen_t room = sizeof from;
    ssize_t n = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &room);
    if (n < 4) {
      if (++quiet > 10 || now() - start > deadline) { fail(c, "loader", "TFTP fell silent"); break; }
      c->tftp_again++;
      sendto(fd, last, length, 0, (struct sockaddr *)&to, sizeof to);
      continue;
    }
    if (known && from.sin_port != to.sin_port) continue;
    if (!known) { to = from; known = 1; }
    quiet = 0;
    int opcode = in[0] << 8 | in[1];
    if (opcode == 5) { snprintf(why, sizeof why, "TFTP error %d, %.80s", in[2] << 8 | in[3], (char *)in + 4); fail(c, base, why); break; }
    if (opcode == 6) { char *option = memmem(in, n, "blksize", 8); block = option ? atoi(option + 8) : 512; option = memmem(in, n, "windowsize", 10); agreed = option ? atoi(option + 11) : 1; last[1] = 4; last[2] = last[3] = 0; length = 4; last[0] = 0; sendto(fd, last, 4, 0, (struct sockaddr *)&to, sizeof to); continue; }
    if (opcode != 3) continue;
    uint16_t number = in[2] << 8 | in[3];
    if (number == want) {
      if (got + n - 4 > expected.size || memcmp(expected.data + got, in + 4, n - 4)) { fail(c, base, "other bytes by TFTP"); break; }
      got += n - 4;
      want++;
      if (++open < agreed && n - 4 == block) continue;
    } else if (open == 0) continue;
    open = 0;
    last[0] = 0; last[1] = 4; last[2] = (want - 1) >> 8; last[3] = want - 1; length = 4;
    sendto(fd, last, 4, 0, (struct sockaddr *)&to, sizeof to);
    if (number == (uint16_t)(want - 1) && n - 4 < block) { result = got == expected.size ? 0 : fail(c, base, "another length by TFTP"); break; }
  }
  close(fd);
  munmap(expected.data, expected.size);
  c->at[PHASE_LOADER] = now();
  return result;
}

/* ---- HTTP */
/* Fetches a URL. With a reference every byte is compared; without, the body (a text) is left in `text`. */
static int http(struct client *c, const char *what, const char *where, const struct reference *expected, char *text, size_t room) {
  char host[64], path[512], request[700];
  unsigned char buffer[1 << 16];
  int port = 80, status = 0;
  if (sscanf(where, "http://%63[0-9.]:%d%511s", host, &port, path) != 3) return fail(c, what, "a URL that is none");
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
  inet_pton(AF_INET, host, &to.sin_addr);
  struct timeval wait = { 30, 0 };
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: stormload\r\nConnection: close\r\n\r\n", path, host, port);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) || send(fd, request, length, MSG_NOSIGNAL) != length) { fail(c, what, strerror(errno)); close(fd); return -1; }
  size_t have = 0;
  unsigned char *body = NULL;
  while (!body) {
    ssize_t n = recv(fd, buffer + have, sizeof buffer - have - 1, 0);
    if (n <= 0) { fail(c, what, n == 0 ? "closed before the headers" : strerror(errno)); close(fd); return -1; }
    have += n;
    buffer[have] = 0;
    unsigned char *end = (unsigned char *)strstr((char *)buffer, "\r\n\r\n");
    if (end) body = end + 4;
  }
  sscanf((char *)buffer, "HTTP/1.1 %d", &status);
  const char *field = strcasestr((char *)buffer, "\r\ncontent-length:");
  long size = field && field < (char *)body ? atol(field + 17) : -1, got = have - (body - buffer);
  const char *why = status != 200 ? "a status that is not 200" : size < 0 ? "no Content-Length" : expected && size != expected->size ? "another length" : !expected && size >= (long)room ? "a script too long" : NULL;
  if (!why && (got > size || (expected && memcmp(body, expected->data, got)))) why = "other bytes";
  if (!why && !expected) memcpy(text, body, got);
  while (!why && got < size) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) why = n == 0 ? "closed before the end" : strerror(errno);
    else if (got + n > size || (expected && memcmp(buffer, expected->data + got, n))) why = "other bytes";
    else { if (!expected) memcpy(text + got, buffer, n); got += n; }
  }
  close(fd);
  if (why) return fail(c, what, why);
  if (!expected) text[size] = 0;
  return 0;
}
/* The URL behind a word that begins a line. */
static int named(const char *script, const char *word, char *where) {
  for (const char *line = script; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    if (strncmp(line, word, strlen(word)) || line[strlen(word)] != ' ') continue;
    const char *at = strstr(line, "http://");
    const char *end = strchr(line, '\n');
    if (at && (!end || at < end)) return sscanf(at, "%511s", where) == 1 ? 0 : -1;
  }
  return -1;
}

static void *boot(void *argument) {
  struct client *c = argument;
  char where[512], script[16384], mac[18];
  if (loader(c)) return NULL;
  snprintf(mac, sizeof mac, "02:57:%02x:%02x:%02x:%02x", c->number >> 24 & 255, c->number >> 16 & 255, c->number >> 8 & 255, c->number & 255);
  const char *place = strstr(url, "%m");
  if (place) snprintf(where, sizeof where, "%.*s%s%s", (int)(place - url), url, mac, place + 2); else snprintf(where, sizeof where, "%s", url);
  if (http(c, "script", where, NULL, script, sizeof script)) return NULL;
  c->at[PHASE_SCRIPT] = now();
  if (named(script, "kernel", where)) { fail(c, "script", "it names no kernel"); return NULL; }
  if (http(c, "kernel", where, &kernel, NULL, 0)) return NULL;
  c->at[PHASE_KERNEL] = now();
  if (named(script, "initrd", where)) { fail(c, "script", "it names no initrd"); return NULL; }
  if (http(c, "initrd", where, &initrd, NULL, 0)) return NULL;
  c->at[PHASE_INITRD] = now();
  return NULL;
}

static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

int main(int argc, char **argv) {
  int option, bound = 0, room = 4 << 20;
  struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(67) };
  while ((option = getopt(argc, argv, "s:g:n:o:u:L:K:I:w:D:")) != -1) switch (option) {
    case 's': inet_pton(AF_INET, optarg, &dhcp_server); break;
    case 'g': inet_pton(AF_INET, optarg, &giaddr); break;
    case 'n': count = atoi(optarg); break;
    case 'o': first = atoi(optarg); break;
    case 'u': url = optarg; break;
    case 'L': loaders = optarg; break;
    case 'K': if (load(optarg, &kernel)) { perror(optarg); return 2; } break;
    case 'I': if (load(optarg, &initrd)) { perror(optarg); return 2; } break;
    case 'w': window = atoi(optarg); break;
    case 'D': deadline = atof(optarg); break;
    default: return 2;
  }
  if (!url || !loaders || !kernel.data || !initrd.data) return 2;
  clients = calloc(count, sizeof *clients);
  dhcp_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  setsockopt(dhcp_socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  me.sin_addr.s_addr = giaddr;
  if (bind(dhcp_socket, (struct sockaddr *)&me, sizeof me)) { perror("bind"); return 2; }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  start = now();
  for (int index = 0; index < count; index++) { clients[index].number = first + index; clients[index].began = now(); say(clients + index, DISCOVER); }
  while (bound < count && now() - start < deadline) {
    struct pollfd ready = { dhcp_socket, POLLIN, 0 };
    unsigned char in[2048];
    poll(&ready, 1, 10);
    for (ssize_t n; (n = recv(dhcp_socket, in, sizeof in, MSG_DONTWAIT)) > 0;) {
      uint32_t xid;
      memcpy(&xid, in + 4, 4);
      if (!hear(in, n)) continue;
      struct client *c = clients + (ntohl(xid) - 0x51000000u - first);
      if (pthread_create(&c->thread, &attributes, boot, c)) fail(c, "client", "no thread");
      bound++;
    }
    double at = now();
    for (int index = 0; index < count; index++) {
      struct client *c = clients + index;
      if (c->state == ACK || at - c->sent < 1 << (c->tries > 3 ? 3 : c->tries)) continue;
      c->tries++;
      dhcp_again++;
      say(c, c->state == REQUEST && c->tries < 4 ? REQUEST : DISCOVER);
    }
  }
  double *each[PHASES], took = 0;
  int done = 0;
  long tftp_again = 0;
  for (int phase = 0; phase < PHASES; phase++) each[phase] = calloc(count, sizeof(double));
  for (int index = 0; index < count; index++) {
    struct client *c = clients + index;
    if (c->state != ACK) { fail(c, "DHCP", "no address"); continue; }
    pthread_join(c->thread, NULL);
    tftp_again += c->tftp_again;
    if (c->failed) continue;
    for (int phase = 0; phase < PHASES; phase++) each[phase][done] = c->at[phase] - (phase ? c->at[phase - 1] : c->began);
    if (c->at[PHASE_INITRD] - start > took) took = c->at[PHASE_INITRD] - start;
    done++;
  }
  printf("{\"clients\":%d,\"done\":%d,\"seconds\":%.6f,\"dhcpAgain\":%ld,\"tftpAgain\":%ld", count, done, took, dhcp_again, tftp_again);
  for (int phase = 0; phase < PHASES; phase++) {
    qsort(each[phase], done, sizeof(double), ascending);
    printf(",\"%s\":[%.6f,%.6f]", names[phase], done ? each[phase][done / 2] : 0, done ? each[phase][(done * 99 + 99) / 100 - 1] : 0);
  }
  printf(",\"fault\":\"%s\"}\n", fault_text);
  return done == count ? 0 : 1;
}
