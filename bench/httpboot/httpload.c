/* HTTP clients that fetch one file over and over, each over a new connection, as firmware does; says in one line of JSON how it went.
 *   httpload -s IPV4 -p PORT -u PATH -c CLIENTS -n FILES -b BYTES [-V REFERENCE] [-d] [-t SECONDS]
 * Every byte is copied out of the kernel into a buffer; with -V it is compared with the reference file as well; with -d the kernel drops it
 * unread (MSG_TRUNC), so that the clients cost next to nothing and the server is what limits. A client that gets another
 * status than 200, another length or other bytes, or nothing for SECONDS (30), counts as a fault. One thread per client, no dependencies. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in server;
static const char *path = "/";
static long files = 16, bytes = 0;
static int clients = 1, patience = 30, drop;
static const unsigned char *reference;
static atomic_long next_file, moved, faults;
static double *took;
static char fault_text[256];
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void fault(const char *why) {
  atomic_fetch_add(&faults, 1);
  pthread_mutex_lock(&fault_lock);
  if (!fault_text[0]) snprintf(fault_text, sizeof fault_text, "%s", why);
  pthread_mutex_unlock(&fault_lock);
}

static int fetch(unsigned char *buffer, size_t room) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
  struct timeval wait = { patience, 0 };
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  char request[512];
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n", path);
  if (connect(fd, (struct sockaddr *)&server, sizeof server) || send(fd, request, length, MSG_NOSIGNAL) != length) { fault(strerror(errno)); close(fd); return -1; }
  size_t have = 0;
  unsigned char *body = NULL;
  while (!body) {
    ssize_t n = recv(fd, buffer + have, room - have - 1, 0);
    if (n <= 0) { fault(n == 0 ? "closed before the headers" : strerror(errno)); close(fd); return -1; }
    have += n;
    buffer[have] = 0;
    unsigned char *end = (unsigned char *)strstr((char *)buffer, "\r\n\r\n");
    if (end) body = end + 4;
  }
  sscanf((char *)buffer, "HTTP/1.1 %d", &status);
  if (status != 200) { fault("a status that is not 200"); close(fd); return -1; }
  long got = have - (body - buffer);
  int wrong = reference && (got > bytes || memcmp(body, reference, got));
  while (got < bytes && !wrong) {
    ssize_t n = recv(fd, buffer, drop ? room * 16 : room, drop ? MSG_TRUNC : 0);
    if (n <= 0) { fault(n == 0 ? "closed before the end" : strerror(errno)); close(fd); return -1; }
    if (reference && (got + n > bytes || memcmp(buffer, reference + got, n))) wrong = 1;
    got += n;
    atomic_fetch_add(&moved, n);
  }
  if (wrong || got != bytes) { fault(wrong ? "other bytes" : "another length"); close(fd); return -1; }
  close(fd);
  return 0;
}

static void *client(void *unused) {
  size_t room = 1 << 18;
  unsigned char *buffer = malloc(room);
  for (;;) {
    long file = atomic_fetch_add(&next_file, 1);
    if (file >= files) break;
    double began = now();
    if (fetch(buffer, room)) took[file] = -1; else took[file] = now() - began;
  }
  free(buffer);
  return unused;
}

static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

int main(int argc, char **argv) {
  int option;
  server.sin_family = AF_INET;
  while ((option = getopt(argc, argv, "s:p:u:c:n:b:V:t:d")) != -1) switch (option) {
    case 's': inet_pton(AF_INET, optarg, &server.sin_addr); break;
    case 'p': server.sin_port = htons(atoi(optarg)); break;
    case 'u': path = optarg; break;
    case 'c': clients = atoi(optarg); break;
    case 'n': files = atol(optarg); break;
    case 'b': bytes = atol(optarg); break;
    case 'd': drop = 1; break;
    case 't': patience = atoi(optarg); break;
    case 'V': {
      int fd = open(optarg, O_RDONLY);
      struct stat about;
      if (fd < 0 || fstat(fd, &about) || about.st_size != bytes) { fprintf(stderr, "%s: not a file of %ld bytes\n", optarg, bytes); return 2; }
      reference = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
      break;
    }
    default: return 2;
  }
  took = calloc(files, sizeof *took);
  pthread_t *threads = calloc(clients, sizeof *threads);
  double began = now();
  for (int index = 0; index < clients; index++) pthread_create(&threads[index], NULL, client, NULL);
  for (int index = 0; index < clients; index++) pthread_join(threads[index], NULL);
  double seconds = now() - began;
  qsort(took, files, sizeof *took, ascending);
  long done = files - faults;
  double *good = took + (files - done);
  printf("{\"files\":%ld,\"done\":%ld,\"seconds\":%.6f,\"bytes\":%ld,\"p50\":%.6f,\"p99\":%.6f,\"faults\":%ld,\"fault\":\"%s\"}\n", files, done, seconds, done * bytes,
    done ? good[done / 2] : 0, done ? good[(done * 99 + 99) / 100 - 1] : 0, (long)faults, fault_text);
  return faults ? 1 : 0;
}
