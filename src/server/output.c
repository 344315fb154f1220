/* output.c - see output.h. */

#define _GNU_SOURCE /* SOCK_CLOEXEC, isatty */

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backoff.h"
#include "stats.h"

/* OUTPUT_SIZE: what a pass prints about a thousand clients fits. MEMORY_DEVICES: the major number
 * of /dev/null, /dev/full and the like. FAREWELL_MS: what each output is given at the end. */
enum { OUTPUT_SIZE = 64 * 1024, MEMORY_DEVICES = 1, FAREWELL_MS = 300, STEP_MS = 10 };

struct output {
	int fd;
	bool is_socket;
	bool has_writer;        /* a process of our own is behind the socket */
	bool blocked;           /* it had no room for what is left in `text` */
	bool watched;           /* select() was asked about it */
	struct backoff backoff; /* while it is active, it is not watched */
	bool in_line;           /* `text` begins with the rest of a line */
	size_t length;
	char text[OUTPUT_SIZE];
};

/* Where both lead to the same file, they are one output, so that the lines keep their order. */
static struct output outputs[2];
static bool is_one;
static uint64_t dropped;

int outputs_reserve(void)
{
	int fd;

	/* open() returns the lowest free descriptor, which is this one. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
			return -1;
	}
	return 0;
}

/* Opens a pipe or a terminal anew, so that it need not block. Another user's cannot be opened, and
 * in place of the master of a terminal it would be a new one. */
static bool reopen(int fd, mode_t mode)
{
	int access = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR ? O_RDWR : O_WRONLY;
	int number, own;
	char path[32];

	if (!S_ISFIFO(mode) && (!isatty(fd) || ioctl(fd, TIOCGPTN, &number) == 0))
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, access | O_NONBLOCK | O_NOCTTY);
	if (own == -1)
		return false;
	dup2(own, fd);
	close(own);
	return true;
}

/* The writer process: copies until the server closes its end. Signals are for the server, whose
 * death is this one's as well, whatever it waits for. */
__attribute__((noreturn)) static void copy(int from, int to)
{
	struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };
	char text[4096];
	ssize_t length, done, count;
	sigset_t all;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(from, STDIN_FILENO);
	dup2(to, STDOUT_FILENO);
	close(from);
	for (fd = STDERR_FILENO; fd < FD_SETSIZE; fd++)
		close(fd);
	while ((length = recv(STDIN_FILENO, text, sizeof text, 0)) > 0) {
		for (done = 0; done<length; done += count> 0 ? count : 0) {
			/* Somebody else may have set O_NONBLOCK. */
			poll(&room, 1, -1);
			count = write(STDOUT_FILENO, text + done, (size_t)(length - done));
			if (count == -1 && errno != EAGAIN)
				exit(EXIT_FAILURE);
		}
	}
	exit(EXIT_SUCCESS);
}

/* Puts a process in front of the output that waits in the server's place. */
static int start_writer(struct output *output)
{
	pid_t process;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	process = fork();
	if (process == 0) {
		close(ends[0]);
		copy(ends[1], output->fd);
	}
	output->is_socket = output->has_writer = true;
	if (process != -1)
		dup2(ends[0], output->fd);
	close(ends[0]);
	close(ends[1]);
	return process == -1 ? -1 : 0;
}

static int open_output(struct output *output, int fd)
{
	struct stat status = { .st_mode = 0 };

	output->fd = fd;
	fstat(fd, &status);
	output->is_socket = S_ISSOCK(status.st_mode);
	if (output->is_socket || S_ISREG(status.st_mode) || S_ISBLK(status.st_mode) ||
	    (S_ISCHR(status.st_mode) && major(status.st_rdev) == MEMORY_DEVICES) ||
	    reopen(fd, status.st_mode))
		return 0;
	return start_writer(output);
}

static bool is_same_file(int one, int other)
{
	struct stat first, second;

	return fstat(one, &first) == 0 && fstat(other, &second) == 0 &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino &&
	       fcntl(one, F_GETFL) == fcntl(other, F_GETFL);
}

/* Writes what the output takes. What it will not take, whole lines only, is dropped. */
static void flush(struct output *output)
{
	const char *rest = output->text, *end = output->text + output->length, *kept = end;
	ssize_t count = 1;

	while (rest < end && (count > 0 || (count == -1 && errno == EINTR))) {
		count = output->is_socket ? send(output->fd, rest, (size_t)(end - rest),
		                                 MSG_DONTWAIT | MSG_NOSIGNAL)
		                          : write(output->fd, rest, (size_t)(end - rest));
		if (count > 0) {
			rest += count;
			output->in_line = rest[-1] != '\n';
		}
	}
	output->blocked = rest < end && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
	/* select() may have called it writable all the same, as a terminal with room for a byte. */
	if (output->blocked && output->watched && rest == output->text)
		backoff_start(&output->backoff);
	if (!output->blocked && rest < end) {
		kept = output->in_line ? (const char *)memchr(rest, '\n', (size_t)(end - rest)) + 1
		                       : rest;
		dropped += count_line_ends(kept, (size_t)(end - kept));
	}
	output->length = (size_t)(kept - rest);
	memmove(output->text, rest, output->length);
}

void outputs_flush(void)
{
	flush(&outputs[0]);
	flush(&outputs[1]);
}

void output_print(int fd, const char *format, va_list arguments)
{
	struct output *output = &outputs[fd == STDERR_FILENO && !is_one];
	int tries, length;

	for (tries = 0; tries < 2; tries++) {
		char *end = output->text + output->length;
		size_t room = sizeof output->text - output->length;
		va_list copied;

		va_copy(copied, arguments);
		length = vsnprintf(end, room, format, copied);
		va_end(copied);
		if (length >= 0 && (size_t)length < room) {
			output->length += (size_t)length;
			return;
		}
		flush(output);
	}
	dropped += count_line_ends(format, strlen(format));
}

bool outputs_watch(fd_set *writable)
{
	bool retry = false;
	struct output *output;

	for (output = outputs; output < outputs + 2; output++) {
		backoff_expired(&output->backoff);
		output->watched = output->blocked && !output->backoff.active;
		if (output->watched)
			FD_SET(output->fd, writable);
		retry |= output->blocked && !output->watched;
	}
	return retry;
}

uint64_t outputs_dropped(void)
{
	return dropped;
}

/* Gives each output some time to take what is left, and its writer to hand it on: then the process
 * ends, and the writer with it. */
static void close_outputs(void)
{
	struct output *output;

	fflush(stdout);
	for (output = outputs; output < outputs + 2; output++) {
		struct pollfd state = { .fd = output->fd, .events = POLLOUT };
		int left = FAREWELL_MS;

		for (flush(output); output->blocked && left > 0; left -= STEP_MS) {
			poll(&state, 1, STEP_MS);
			flush(output);
		}
		if (!output->has_writer)
			continue;
		shutdown(output->fd, SHUT_WR);
		state.events = 0; /* that the writer's end is closed is always told */
		while (poll(&state, 1, STEP_MS) == 0 && left > 0)
			left -= STEP_MS;
	}
}

int outputs_open(void)
{
	is_one = is_same_file(STDOUT_FILENO, STDERR_FILENO);
	if (open_output(&outputs[0], STDOUT_FILENO) == -1 ||
	    (!is_one && open_output(&outputs[1], STDERR_FILENO) == -1))
		return -1;
	if (is_one)
		dup2(STDOUT_FILENO, STDERR_FILENO);
	return atexit(close_outputs) == 0 ? 0 : -1;
}
