/*
 * flood - how long twenty who chat wait for each other's lines while one more says as much as it
 * can: flood PORT [SECONDS]. Prints the latency's percentiles, and how much everybody heard.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHATTERS = 20, LINE = 64, READ = 1 << 18, MOST_SAMPLES = 1 << 20 };

/* Somebody says something so often, in seconds. */
static const double PAUSE = 0.005;

struct chatter {
	int sd;
	char line[LINE]; /* the start of a line that has not ended */
	size_t length;
};

static double samples[MOST_SAMPLES];
static int nr_samples;
static double bytes_heard;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int join(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((unsigned short)port),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (sd == -1 || connect(sd, (struct sockaddr *)&address, sizeof address) == -1 ||
	    setsockopt(sd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == -1) {
		perror("join");
		exit(EXIT_FAILURE);
	}
	return sd;
}

/* Says as much as the server takes, and reads what comes back. */
static void flood(int sd)
{
	static char lines[1 << 16], heard[READ];
	size_t at;

	memset(lines, 'x', sizeof lines);
	for (at = LINE - 1; at < sizeof lines; at += LINE)
		lines[at] = '\n';
	for (;;) {
		struct pollfd look = { .fd = sd, .events = POLLIN | POLLOUT };

		poll(&look, 1, -1);
		if ((look.revents & POLLIN) != 0 && read(sd, heard, sizeof heard) <= 0)
			_exit(EXIT_FAILURE);
		if ((look.revents & POLLOUT) != 0 &&
		    send(sd, lines, sizeof lines, MSG_DONTWAIT | MSG_NOSIGNAL) == 0)
			_exit(EXIT_FAILURE);
	}
}

/* A line of a chatter's is the time when it was said, behind an at sign. */
static void note_line(struct chatter *chatter)
{
	chatter->line[chatter->length] = '\0';
	if (chatter->line[0] == '@' && nr_samples < MOST_SAMPLES)
		samples[nr_samples++] = now() - strtod(chatter->line + 1, NULL);
	chatter->length = 0;
}

static void hear(struct chatter *chatter)
{
	static char heard[READ];
	ssize_t count = read(chatter->sd, heard, sizeof heard);
	char *at = heard, *end = heard + count;

	if (count <= 0) {
		fprintf(stderr, "the server has closed a chatter's connection\n");
		exit(EXIT_FAILURE);
	}
	bytes_heard += (double)count;
	while (at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline != NULL ? newline : end) - at);
		size_t room = sizeof chatter->line - 1 - chatter->length;

		memcpy(chatter->line + chatter->length, at, length < room ? length : room);
		chatter->length += length < room ? length : room;
		if (newline == NULL)
			break;
		note_line(chatter);
		at = newline + 1;
	}
}

static void say(const struct chatter *chatter)
{
	char line[LINE];
	int length = snprintf(line, sizeof line, "@%.9f\n", now());

	send(chatter->sd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void chat(struct chatter chatters[CHATTERS], double seconds)
{
	double start = now(), next = start;
	int at, speaker = 0;

	while (now() < start + seconds) {
		struct pollfd looks[CHATTERS];

		for (at = 0; at < CHATTERS; at++)
			looks[at] = (struct pollfd){ .fd = chatters[at].sd, .events = POLLIN };
		poll(looks, CHATTERS, (int)((next - now()) * 1000) > 0 ? 1 : 0);
		for (at = 0; at < CHATTERS; at++) {
			if (looks[at].revents != 0)
				hear(&chatters[at]);
		}
		if (now() >= next) {
			say(&chatters[speaker++ % CHATTERS]);
			next += PAUSE;
		}
	}
}

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

int main(int argc, char *argv[])
{
	static struct chatter chatters[CHATTERS];
	int port = argc > 1 ? atoi(argv[1]) : 5555, at;
	double seconds = argc > 2 ? atof(argv[2]) : 5;
	pid_t flooder;

	for (at = 0; at < CHATTERS; at++)
		chatters[at].sd = join(port);
	flooder = fork();
	if (flooder == 0)
		flood(join(port));
	chat(chatters, seconds);
	kill(flooder, SIGKILL);
	waitpid(flooder, NULL, 0);
	if (nr_samples == 0)
		return EXIT_FAILURE;
	qsort(samples, (size_t)nr_samples, sizeof samples[0], by_size);
	printf("%d lines: half within %.2f ms, 99 %% within %.2f ms, all within %.2f ms; "
	       "%.0f MB/s heard\n",
	       nr_samples, samples[nr_samples / 2] * 1e3, samples[nr_samples * 99 / 100] * 1e3,
	       samples[nr_samples - 1] * 1e3, bytes_heard / seconds / 1e6);
	return EXIT_SUCCESS;
}
