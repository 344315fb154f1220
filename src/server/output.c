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

/* What a pass prints about a thousand clients fits. */
enum { OUTPUT_SIZE = 64 * 1024 };

/* The major number of /dev/null, /dev/full and the like, which never make a writer wait. */
enum { MEMORY_DEVICES = 1 };

enum { FAREWELL_MS = 300 };

struct output {
	int fd;
	bool is_socket;
	pid_t writer;           /* the process behind the socket, or 0 */
	bool blocked;           /* it had no room for what is left in `text` */
	bool watched;           /* select() was asked about it */
	struct backoff backoff; /* while it is active, it is not watched */
	bool in_line;           /* `text` begins with the rest of a line */
	size_t length;
	char text[OUTPUT_SIZE];
};

/* Where both lead to the same file, it is one output, so that the lines keep their order. */
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

/* Opens a pipe or a terminal anew, so that it need not block. Fails on what belongs to another
 * user. The master of a terminal would be another one then. */
static bool reopen(int fd, mode_t mode)
{
	char path[32];
	int access = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR ? O_RDWR : O_WRONLY;
	int number, own;

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

/* Writes all of it, however long that takes. */
static bool write_all(int fd, const char *text, size_t length)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	ssize_t count;

	while (length > 0) {
		count = write(fd, text, length);
		if (count == -1 && errno != EAGAIN)
			return false;
		if (count == -1) {
			poll(&room, 1, -1);
			continue;
		}
		text += count;
		length -= (size_t)count;
	}
	return true;
}

/* The writer process: copies until the server closes its end. Signals are for the server, whose
 * death by SIGKILL is this one's as well. */
__attribute__((noreturn)) static void copy(int from, int to)
{
	char text[4096];
	sigset_t all;
	ssize_t count;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(from, STDIN_FILENO);
	dup2(to, STDOUT_FILENO);
	close(from);
	for (fd = STDERR_FILENO; fd < FD_SETSIZE; fd++)
		close(fd);
	do
		count = recv(STDIN_FILENO, text, sizeof text, 0);
	while (count > 0 && write_all(STDOUT_FILENO, text, (size_t)count));
	exit(EXIT_SUCCESS);
}

/* Puts a process in front of the output that waits in the server's place. */
static int start_writer(struct output *output)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	output->writer = fork();
	if (output->writer == 0) {
		close(ends[0]);
		copy(ends[1], output->fd);
	}
	if (output->writer > 0) {
		output->is_socket = true;
		dup2(ends[0], output->fd);
	}
	close(ends[0]);
	close(ends[1]);
	return output->writer == -1 ? -1 : 0;
}

static int open_output(struct output *output, int fd)
{
	struct stat status;

	output->fd = fd;
	if (fstat(fd, &status) == -1)
		return -1;
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

/* Drops the lines that are left, but not the rest of one that was taken in part. */
static void drop(struct output *output)
{
	const char *end = output->in_line ? memchr(output->text, '\n', output->length) : NULL;
	size_t kept = end != NULL ? (size_t)(end - output->text) + 1 : 0;
	size_t at;

	for (at = kept; at < output->length; at++)
		dropped += output->text[at] == '\n';
	output->length = kept;
}

static ssize_t write_some(const struct output *output, const char *text, size_t length)
{
	ssize_t count;

	do
		count = output->is_socket
		                ? send(output->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL)
		                : write(output->fd, text, length);
	while (count == -1 && errno == EINTR);
	return count;
}

static void flush(struct output *output)
{
	size_t done = 0;
	ssize_t count;

	output->blocked = false;
	while (done < output->length) {
		count = write_some(output, output->text + done, output->length - done);
		if (count <= 0) {
			output->blocked = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
			break;
		}
		done += (size_t)count;
		output->in_line = output->text[done - 1] != '\n';
	}
	output->length -= done;
	memmove(output->text, output->text + done, output->length);
	if (output->length > 0 && !output->blocked)
		drop(output);
	/* select() may have called it writable all the same, as a terminal with room for a byte. */
	if (output->blocked && done == 0 && output->watched)
		backoff_start(&output->backoff);
}

void outputs_flush(void)
{
	flush(&outputs[0]);
	flush(&outputs[1]);
}

void output_print(int fd, const char *format, va_list arguments)
{
	struct output *output = &outputs[fd == STDERR_FILENO && !is_one];
	int tries;

	for (tries = 0; tries < 2; tries++) {
		size_t room = sizeof output->text - output->length;
		va_list copied;
		int length;

		va_copy(copied, arguments);
		length = vsnprintf(output->text + output->length, room, format, copied);
		va_end(copied);
		if (length >= 0 && (size_t)length < room) {
			output->length += (size_t)length;
			return;
		}
		flush(output);
	}
	for (; *format != '\0'; format++)
		dropped += *format == '\n';
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
		else if (output->blocked)
			retry = true;
	}
	return retry;
}

uint64_t outputs_dropped(void)
{
	return dropped;
}

/* Gives the outputs some time to take what is left, and then the writers to hand it on. */
static void close_outputs(void)
{
	enum { STEP_MS = 10 };
	int left = FAREWELL_MS;
	struct output *output;

	fflush(stdout);
	for (output = outputs; output < outputs + 2; output++) {
		struct pollfd room = { .fd = output->fd, .events = POLLOUT };

		for (flush(output); output->blocked && left > 0; left -= STEP_MS) {
			poll(&room, 1, STEP_MS);
			flush(output);
		}
	}
	for (output = outputs; output < outputs + 2; output++) {
		struct pollfd ended = { .fd = output->fd };

		if (output->writer == 0)
			continue;
		shutdown(output->fd, SHUT_WR);
		for (; poll(&ended, 1, STEP_MS) == 0 && left > 0; left -= STEP_MS)
			;
		if (left <= 0)
			kill(output->writer, SIGKILL);
	}
}

int outputs_open(void)
{
	is_one = is_same_file(STDOUT_FILENO, STDERR_FILENO);
	if (open_output(&outputs[0], STDOUT_FILENO) == -1)
		return -1;
	if (is_one)
		dup2(STDOUT_FILENO, STDERR_FILENO);
	else if (open_output(&outputs[1], STDERR_FILENO) == -1)
		return -1;
	return atexit(close_outputs) == 0 ? 0 : -1;
}
