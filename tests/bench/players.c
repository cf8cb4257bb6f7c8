/* players: an open model of players, on one thread. Speaks player protocol version 1.
 *
 *   players PORT TOKENS_FILE PLAYERS SECONDS WARM_SECONDS BETS_PER_SECOND MODE
 *
 * Opens PLAYERS websockets at 127.0.0.1:PORT and says hello, each with a line of TOKENS_FILE. MODE is
 *   play  bets fall due at a constant rate, whatever the server does; the player who has rested longest makes the bet. Of the rounds 40 % cash out
 *         by hand and 40 % by auto cash-out, 1 to 8 s after their start, unless they crash before; 20 % fly on until they crash
 *   hold  like play, but each player bets once and never cashes out
 *   idle  nobody bets
 * Every latency is counted from the moment at which the player was due to act, so that a server that falls behind can't hide it: bets until
 * round_started, cash-outs by hand until round_ended, auto cash-outs from the moment at which the multiplier is reached until round_ended.
 *
 * Prints "ready" when all were welcomed, "begin" WARM_SECONDS later, "end" after SECONDS more, and, 3 s later, when late answers have come, one JSON
 * line of figures, of what was due or came between begin and end. Times are milliseconds. Build: cc -O2 -o players players.c -lm */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 16384, BINS = 50000, OPENING_MAX = 64, PLAYERS_PER_ADDRESS = 8000, LATE_ANSWERS_MS = 3000 };
enum state { UPGRADING, HELLOED, RESTING, BETTING, FLYING, GONE };
enum way { BY_HAND, AUTOMATIC, NEVER };

typedef struct {
  int fd, length;
  enum state state;
  enum way way;
  double due, flight, started, cashout_due;
  char token[64], round_id[40];
  unsigned char *buffer;
} Player;

static struct { long late[BINS + 1], bet[BINS + 1], cashout[BINS + 1], automatic[BINS + 1]; } times;
static struct { long ticks, cashouts, crashes, others, errors, refused, bets, answered, gone, samples; double flying; } counts;
static Player *players;
static int *resting, rest_head, rest_count, players_max, flying;
static double begin_at, end_at, rate_per_ms = 0.00006;

static double now(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec * 1e3 + t.tv_nsec * 1e-6; }
static int in_window(double t) { return begin_at > 0 && t >= begin_at && t < end_at; }
static void note(long *bins, double ms) { long bin = (long)(ms * 10); bins[bin < 0 ? 0 : bin > BINS ? BINS : bin]++; }
static long total(const long *bins) { long sum = 0; for (int i = 0; i <= BINS; i++) sum += bins[i]; return sum; }

static double quantile(const long *bins, double part) {
  long all = total(bins), sum = 0;
  for (int i = 0; i <= BINS; i++) if ((sum += bins[i]) && sum >= all * part) return i * .1;
  return -1;
}

static void fail(const char *text) { fprintf(stderr, "players: %s\n", text); exit(1); }

static void say(Player *p, const char *text) {
  unsigned char frame[512];
  int n = strlen(text), k = 0;
  frame[k++] = 0x81;
  if (n < 126) frame[k++] = 0x80 | n; else { frame[k++] = 0x80 | 126; frame[k++] = n >> 8; frame[k++] = n & 255; }
  memset(frame + k, 0, 4);
  memcpy(frame + k + 4, text, n);
  if (write(p->fd, frame, k + 4 + n) < 0 && errno != EPIPE && errno != ECONNRESET) fail("a socket can't be written to");
}

static double number(const char *text, const char *key) { const char *at = strstr(text, key); return at ? atof(at + strlen(key)) : -1; }
static void rest(Player *p) { p->state = RESTING; resting[(rest_head + rest_count++) % players_max] = p - players; }

static void leave(Player *p) {
  if (p->state == FLYING) flying--;
  if (p->state == RESTING) fail("the server closed a resting player's socket");
  close(p->fd);
  p->state = GONE;
  counts.gone++;
}

static void bet(Player *p, double due, int holds) {
  char text[128], automatic[48] = "";
  double chance = holds ? 1 : drand48();
  p->way = chance < .4 ? BY_HAND : chance < .8 ? AUTOMATIC : NEVER;
  p->flight = 1000 + 7000 * drand48();
  if (p->way == AUTOMATIC) {
    double multiplier = ceil(exp(p->flight * rate_per_ms) * 100) / 100;
    p->flight = ceil(log(multiplier) / rate_per_ms);
    snprintf(automatic, sizeof automatic, ",\"auto_cashout\":%.2f", multiplier);
  }
  p->due = due;
  p->state = BETTING;
  counts.bets += in_window(due);
  snprintf(text, sizeof text, "{\"type\":\"bet\",\"amount_minor\":100%s}", automatic);
  say(p, text);
}

static void cash_out(Player *p) {
  char text[128];
  snprintf(text, sizeof text, "{\"type\":\"cashout\",\"round_id\":\"%s\"}", p->round_id);
  p->cashout_due = p->started + p->flight;
  p->flight = INFINITY;
  say(p, text);
}

static void on_started(Player *p, const char *text, double t) {
  const char *id = strstr(text, "\"round_id\":\"");
  if (!id || p->state != BETTING) fail("an unexpected round_started");
  memcpy(p->round_id, id + 12, 36);
  p->started = number(text, "\"started_at\":");
  p->cashout_due = 0;
  p->state = FLYING;
  flying++;
  if (in_window(p->due)) { counts.answered++; note(times.bet, t - p->due); }
}

static void on_ended(Player *p, const char *text, double t) {
  double reached = p->way == AUTOMATIC ? p->started + p->flight : p->cashout_due;
  int cashed_out = strstr(text, "\"result\":\"cashout\"") != NULL;
  if (p->state == FLYING) flying--;
  if (cashed_out && in_window(reached)) note(p->way == AUTOMATIC ? times.automatic : times.cashout, t - reached);
  if (in_window(t)) *(cashed_out ? &counts.cashouts : strstr(text, "\"result\":\"crash\"") ? &counts.crashes : &counts.others) += 1;
  rest(p);
}

static void on_frame(Player *p, const char *text, double t) {
  if (strstr(text, "\"tick\"")) {
    if (in_window(t)) { counts.ticks++; note(times.late, t - p->started - number(text, "\"e\":")); }
  } else if (strstr(text, "\"round_started\"")) on_started(p, text, t);
  else if (strstr(text, "\"round_ended\"")) on_ended(p, text, t);
  else if (strstr(text, "\"welcome\"")) {
    if (number(text, "\"rate_per_ms\":") > 0) rate_per_ms = number(text, "\"rate_per_ms\":");
    rest(p);
  } else if (strstr(text, "\"error\"")) {
    /* A cash-out that comes after the crash is refused, and is no error. */
    if (strstr(text, "\"too_late\"") || strstr(text, "\"no_such_round\"")) { counts.refused++; return; }
    if (counts.errors++ < 3) fprintf(stderr, "%s\n", text);
    if (p->state == BETTING) rest(p);
  }
}

/* What the bytes begin with, if it is the whole answer to the upgrade: its length, else 0. */
static int upgraded(Player *p) {
  p->buffer[p->length] = 0;
  char *end = strstr((char *)p->buffer, "\r\n\r\n");
  if (!end) return 0;
  if (strncmp((char *)p->buffer + 8, " 101", 4)) { fprintf(stderr, "%.60s\n", p->buffer); fail("a websocket was refused"); }
  return end + 4 - (char *)p->buffer;
}

static void on_readable(Player *p, double t) {
  int got = read(p->fd, p->buffer + p->length, BUFFER - p->length - 1), at = 0;
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) { leave(p); return; }
  p->length += got;
  if (p->state == UPGRADING) {
    char text[128];
    if (!(at = upgraded(p))) return;
    p->state = HELLOED;
    snprintf(text, sizeof text, "{\"type\":\"hello\",\"session\":\"%s\"}", p->token);
    say(p, text);
  }
  while (p->length - at >= 2) {
    int opcode = p->buffer[at] & 15, size = p->buffer[at + 1] & 127, head = 2;
    if (size == 126) { if (p->length - at < 4) break; size = p->buffer[at + 2] << 8 | p->buffer[at + 3]; head = 4; }
    if (head + size >= BUFFER) fail("a frame is too long");
    if (p->length - at < head + size) break;
    unsigned char *end = p->buffer + at + head + size, kept = *end;
    *end = 0;
    if (opcode == 9) { unsigned char pong[6] = { 0x8a, 0x80 }; if (write(p->fd, pong, 6) < 0) { } }
    else if (opcode == 1) on_frame(p, (char *)p->buffer + at + head, t);
    *end = kept;
    at += head + size;
  }
  memmove(p->buffer, p->buffer + at, p->length -= at);
}

/* Connects from several loopback addresses: each has only so many ports. */
static void connect_player(Player *p, int epoll, int port, FILE *tokens) {
  char upgrade[256], address[32];
  int one = 1, number = p - players;
  struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  snprintf(address, sizeof address, "127.0.1.%d", 1 + number / PLAYERS_PER_ADDRESS);
  inet_pton(AF_INET, address, &from.sin_addr);
  if (!fgets(p->token, sizeof p->token, tokens)) fail("too few tokens");
  p->token[strcspn(p->token, "\r\n")] = 0;
  p->buffer = malloc(BUFFER);
  p->fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (p->fd < 0 || bind(p->fd, (void *)&from, sizeof from) || connect(p->fd, (void *)&to, sizeof to)) { perror("players: connect"); exit(1); }
  setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int n = snprintf(upgrade, sizeof upgrade, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", port, port);
  if (write(p->fd, upgrade, n) != n) fail("an upgrade can't be written");
  fcntl(p->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };
  epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event);
}

static void tell(void) {
  struct { const char *name; long *bins; } told[] = { { "late", times.late }, { "bet", times.bet }, { "cashout", times.cashout }, { "auto", times.automatic } };
  printf("{\"seconds\": %.3f, \"players\": %d, \"flying\": %.1f, \"ticks\": %ld, \"cashouts\": %ld, \"crashes\": %ld, \"others\": %ld, \"bets\": %ld, \"unanswered\": %ld, \"refused\": %ld, \"errors\": %ld, \"gone\": %ld",
         (end_at - begin_at) / 1e3, players_max, counts.samples ? counts.flying / counts.samples : 0, counts.ticks, counts.cashouts, counts.crashes, counts.others, counts.bets, counts.bets - counts.answered, counts.refused, counts.errors, counts.gone);
  for (int i = 0; i < 4; i++)
    printf(", \"%s_n\": %ld, \"%s_p50_ms\": %.1f, \"%s_p99_ms\": %.1f", told[i].name, total(told[i].bins), told[i].name, quantile(told[i].bins, .5), told[i].name, quantile(told[i].bins, .99));
  printf("}\n");
}

/* Everything that is due by now: bets, and cash-outs by hand. */
static void act(double t, double first_due, double interval, const char *mode) {
  static long made;
  int holds = !strcmp(mode, "hold");
  while (rest_count && first_due + made * interval <= t && (!holds || made < players_max)) {
    double due = first_due + made * interval;
    if (end_at && due >= end_at) break;
    Player *p = &players[resting[rest_head]];
    rest_head = (rest_head + 1) % players_max;
    rest_count--;
    made++;
    bet(p, due, holds);
  }
  for (int i = 0; i < players_max; i++)
    if (players[i].state == FLYING && players[i].way == BY_HAND && t >= players[i].started + players[i].flight) cash_out(&players[i]);
}

int main(int argc, char **argv) {
  if (argc != 8 || (strcmp(argv[7], "play") && strcmp(argv[7], "hold") && strcmp(argv[7], "idle"))) {
    fprintf(stderr, "usage: players PORT TOKENS_FILE PLAYERS SECONDS WARM_SECONDS BETS_PER_SECOND play|hold|idle\n");
    return 2;
  }
  int opened = 0, epoll = epoll_create1(0), stage = 0;
  double seconds = atof(argv[4]), warm = atof(argv[5]), interval = 1e3 / fmax(atof(argv[6]), .001), ready_at = 0;
  FILE *tokens = fopen(argv[2], "r");
  struct epoll_event events[1024];
  struct rlimit files;
  if (!tokens) { perror(argv[2]); return 2; }
  getrlimit(RLIMIT_NOFILE, &files); files.rlim_cur = files.rlim_max; setrlimit(RLIMIT_NOFILE, &files);
  players_max = atoi(argv[3]);
  players = calloc(players_max, sizeof *players);
  resting = calloc(players_max, sizeof *resting);
  srand48(1);
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (;;) {
    while (opened < players_max && opened - rest_count - counts.gone < OPENING_MAX && !ready_at) connect_player(&players[opened++], epoll, atoi(argv[1]), tokens);
    double t = now();
    if (!ready_at && rest_count + counts.gone == players_max) { ready_at = t; begin_at = t + warm * 1e3; end_at = begin_at + seconds * 1e3; puts("ready"); stage = 1; }
    if (stage == 1 && t >= begin_at) { puts("begin"); stage = 2; }
    if (stage == 2 && t >= end_at) { puts("end"); stage = 3; }
    if (stage == 3 && t >= end_at + LATE_ANSWERS_MS) break;
    if (ready_at && strcmp(argv[7], "idle")) act(t, ready_at, interval, argv[7]);
    if (in_window(t)) { counts.flying += flying; counts.samples++; }
    int n = epoll_wait(epoll, events, 1024, 1);
    t = now();
    for (int i = 0; i < n; i++) on_readable(events[i].data.ptr, t);
  }
  tell();
  return 0;
}
