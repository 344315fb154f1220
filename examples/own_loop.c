/*
 * own_loop - a chat room in a program that has a select loop of its own.
 *
 * The program takes the readings of thermometers, one a datagram, and every so often says what
 * they were on average. With the room, those who chat hear it, too. The loop stays the program's:
 * before select the room adds its descriptors to the program's sets, and after it takes out what
 * concerns it.
 *
 * own_loop PORT: UDP for the readings, TCP for the room.
 */

#define _POSIX_C_SOURCE 200809L /* sigaction, pselect, clock_gettime */

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "chatServerExt.h"

static void give_up(const char *why)
{
	perror(why);
	exit(EXIT_FAILURE);
}

/* A bound socket that does not block: what select has reported may be gone when it is read. */
static int bind_to(int port, int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((unsigned short)port) };
	int sd = socket(AF_INET, type | SOCK_NONBLOCK, 0), reuse = type == SOCK_STREAM;

	if (sd == -1 || setsockopt(sd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) == -1 ||
	    bind(sd, (struct sockaddr *)&address, sizeof address) == -1)
		give_up("cannot bind");
	return sd;
}

/* ---- The room: what is added to the program ---- */

struct room {
	conn_pool_t pool;
	int listener;
};

static void room_open(struct room *room, int port)
{
	room->listener = bind_to(port, SOCK_STREAM);
	init_pool(&room->pool);
	if (listen(room->listener, SOMAXCONN) == -1 || add_conn(room->listener, &room->pool) == -1)
		give_up("cannot open the room");
}

static void room_close(struct room *room)
{
	while (room->pool.conn_head != NULL)
		remove_conn(room->pool.conn_head->fd, &room->pool);
}

static void add_all(fd_set *set, const fd_set *more, int maxfd)
{
	int fd;

	for (fd = 0; fd <= maxfd; fd++) {
		if (FD_ISSET(fd, more))
			FD_SET(fd, set);
	}
}

static void keep_common(fd_set *set, const fd_set *other, int maxfd)
{
	int fd;

	for (fd = 0; fd <= maxfd; fd++) {
		if (!FD_ISSET(fd, other))
			FD_CLR(fd, set);
	}
}

/* Before select: adds what the room waits for to what the program waits for. */
static void room_add_to(const struct room *room, fd_set *readable, fd_set *writable, int *maxfd)
{
	add_all(readable, &room->pool.read_set, room->pool.maxfd);
	add_all(writable, &room->pool.write_set, room->pool.maxfd);
	if (*maxfd < room->pool.maxfd)
		*maxfd = room->pool.maxfd;
}

static void room_let_in(struct room *room)
{
	int sd = accept(room->listener, NULL, NULL);

	if (sd == -1 && errno == EMFILE)
		FD_CLR(room->listener, &room->pool.read_set); /* until somebody leaves */
	else if (sd != -1 && add_conn(sd, &room->pool) == -1)
		close(sd);
}

static void room_read(struct room *room, int sd)
{
	char text[BUFFER_SIZE];
	int len = (int)read(sd, text, sizeof text);

	/* At the end, with 0, what came without a newline is passed on as well. */
	if (len < 0 || chat_feed(sd, text, len, &room->pool) == -1 || len == 0) {
		remove_conn(sd, &room->pool);
		FD_SET(room->listener, &room->pool.read_set);
	}
}

/* After select: serves those of the room who are ready. What they say at a time leaves together;
 * what there is no memory for stays corked, and leaves at the end of another pass. */
static void room_serve(struct room *room, const fd_set *readable, const fd_set *writable)
{
	conn_pool_t *pool = &room->pool;
	int sd;

	/* The sets of the program have its own descriptors, too, which are none of the room's. */
	pool->ready_read_set = pool->read_set;
	pool->ready_write_set = pool->write_set;
	keep_common(&pool->ready_read_set, readable, pool->maxfd);
	keep_common(&pool->ready_write_set, writable, pool->maxfd);
	chat_cork(pool);
	for (sd = 0; sd <= pool->maxfd; sd++) {
		if (!FD_ISSET(sd, &pool->ready_read_set))
			continue;
		if (sd == room->listener)
			room_let_in(room);
		else
			room_read(room, sd);
	}
	chat_uncork(pool);
	for (sd = 0; sd <= pool->maxfd; sd++) {
		/* If this fails, the peer is gone; the next read() reports it. */
		if (FD_ISSET(sd, &pool->ready_write_set))
			write_msg(sd, pool);
	}
}

/* Has everyone in the room hear what the program says; -1 when there is no memory for it. */
static int room_tell(struct room *room, const char *text)
{
	return chat_say(-1, text, (int)strlen(text), &room->pool);
}

/* ---- The program as it was ---- */

enum { PERIOD_MS = 200 };

struct readings {
	int sd;
	int count;
	double sum;
	long long due_ms; /* when the average is to be said next */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void start_period(struct readings *readings)
{
	readings->count = 0;
	readings->sum = 0;
	readings->due_ms = now_ms() + PERIOD_MS;
}

/* How long it is until the next report; nothing when it is due. */
static struct timespec time_left(const struct readings *readings)
{
	long long left = readings->due_ms - now_ms();

	if (left < 0)
		left = 0;
	return (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
}

static void take_reading(struct readings *readings)
{
	char text[32];
	ssize_t len = recv(readings->sd, text, sizeof text - 1, 0);

	if (len == -1)
		return;
	text[len] = '\0';
	readings->sum += strtod(text, NULL);
	readings->count++;
}

/* Says what the average was, if it is time for that and anything was read. */
static void report(struct readings *readings, struct room *room)
{
	char text[64];

	if (now_ms() < readings->due_ms)
		return;
	if (readings->count > 0) {
		snprintf(text, sizeof text, "It is %.1f degrees.\n",
		         readings->sum / readings->count);
		fputs(text, stdout);
		fflush(stdout);
		if (room_tell(room, text) == -1)
			perror("the room does not hear it");
	}
	start_period(readings);
}

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* Lets the signals that end the program in only while it waits, or one that comes just before
 * would be lost. Answers the mask to wait with. */
static sigset_t catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked, waiting;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &blocked, &waiting) == -1 ||
	    sigaction(SIGINT, &action, NULL) == -1 || sigaction(SIGTERM, &action, NULL) == -1)
		give_up("signals");
	return waiting;
}

/* A pass of the loop; the calls of the room's are all that it has to do with it. */
static void pass(struct readings *readings, struct room *room, const sigset_t *waiting)
{
	struct timespec left = time_left(readings);
	fd_set readable, writable;
	int maxfd = readings->sd;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(readings->sd, &readable);
	room_add_to(room, &readable, &writable, &maxfd);
	if (pselect(maxfd + 1, &readable, &writable, NULL, &left, waiting) == -1) {
		if (errno != EINTR)
			give_up("pselect");
		return;
	}
	if (FD_ISSET(readings->sd, &readable))
		take_reading(readings);
	room_serve(room, &readable, &writable);
	report(readings, room);
}

int main(int argc, char *argv[])
{
	int port = argc == 2 ? atoi(argv[1]) : 0;
	struct readings readings;
	struct room room;
	sigset_t waiting;

	if (port < 1 || port > 65535) {
		fputs("usage: own_loop PORT\n", stderr);
		return EXIT_FAILURE;
	}
	waiting = catch_signals();
	readings.sd = bind_to(port, SOCK_DGRAM);
	start_period(&readings);
	room_open(&room, port);
	while (!ended)
		pass(&readings, &room, &waiting);
	room_close(&room);
	close(readings.sd);
	return EXIT_SUCCESS;
}
