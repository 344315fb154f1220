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

#include "clock.h"

/* OUTPUT_SIZE: what a pass prints about a thousand clients fits. MEMORY_DEVICES: the major number
 * of /dev/null, /dev/full and the like. */
enum { OUTPUT_SIZE = 64 * 1024, MEMORY_DEVICES = 1, FAREWELL_US = 300000, STEP_MS = 10 };

struct output {
	int fd;
	bool is_socket;
	bool has_writer; /* a process of our own is behind the socket */
	bool in_line;    /* `text` begins with the rest of a line */
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
	int access = fcntl(fd, F_GETFL) & O_ACCMODE;
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

/* The writer process: copies until the server closes its end, and dies with the server. */
__attribute__((noreturn)) static void copy(int from, int to)
{
	struct pollfd room = { .fd = to, .events = POLLOUT };
	char text[4096];
	ssize_t length, done, count;
	sigset_t all;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (fd = 0; fd < FD_SETSIZE; fd++) {
		if (fd != from && fd != to)
			close(fd);
	}
	while ((length = recv(from, text, sizeof text, 0)) > 0) {
		for (done = 0; done < length;) {
			poll(&room, 1, -1); /* somebody else may have set O_NONBLOCK */
			count = write(to, text + done, (size_t)(length - done));
			if (count > 0)
				done += count;
			else if (errno != EAGAIN)
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
	if (process == 0)
		copy(ends[1], output->fd);
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
	bool may_wait;

	output->fd = fd;
	fstat(fd, &status);
	output->is_socket = S_ISSOCK(status.st_mode);
	may_wait = S_ISFIFO(status.st_mode) ||
	           (S_ISCHR(status.st_mode) && major(status.st_rdev) != MEMORY_DEVICES);
	return !may_wait || reopen(fd, status.st_mode) ? 0 : start_writer(output);
}

int outputs_open(void)
{
	struct stat out, error;

	is_one = fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &error) == 0 &&
	         out.st_dev == error.st_dev && out.st_ino == error.st_ino;
	if (open_output(&outputs[0], STDOUT_FILENO) == -1)
		return -1;
	return is_one ? 0 : open_output(&outputs[1], STDERR_FILENO);
}

static void drop(const char *text, const char *end)
{
	for (; text < end; text++)
		dropped += *text == '\n';
}

/* Writes what the output takes. Returns whether the rest has to wait; what it will not take, whole
 * lines only, is dropped. */
static bool flush(struct output *output)
{
	const char *rest = output->text, *end = output->text + output->length, *kept = end;
	ssize_t count = 1;
	bool is_full;

	while (rest < end && (count > 0 || (count == -1 && errno == EINTR))) {
		size_t length = (size_t)(end - rest);

		count = output->is_socket ? send(output->fd, rest, length, MSG_DONTWAIT)
		                          : write(output->fd, rest, length);
		if (count > 0) {
			rest += count;
			output->in_line = rest[-1] != '\n';
		}
	}
	is_full = rest < end && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
	if (rest < end && !is_full) {
		kept = rest;
		if (output->in_line)
			kept = (const char *)memchr(rest, '\n', (size_t)(end - rest)) + 1;
		drop(kept, end);
	}
	output->length = (size_t)(kept - rest);
	memmove(output->text, rest, output->length);
	return is_full;
}

bool outputs_flush(void)
{
	bool is_full = flush(&outputs[0]);

	return flush(&outputs[1]) || is_full;
}

void output_write(int fd, const char *text, size_t length)
{
	struct output *output = &outputs[fd == STDERR_FILENO && !is_one];

	if (length > OUTPUT_SIZE - output->length)
		flush(output);
	if (length > OUTPUT_SIZE - output->length) {
		drop(text, text + length);
		return;
	}
	memcpy(output->text + output->length, text, length);
	output->length += length;
}

uint64_t outputs_dropped(void)
{
	return dropped;
}

void outputs_close(void)
{
	int64_t deadline = now_us() + FAREWELL_US;
	struct output *output;
	bool is_done;

	do {
		is_done = !outputs_flush();
		for (output = outputs; output < outputs + 2; output++) {
			/* It is always reported that the writer has closed its end. */
			struct pollfd state = { .fd = output->fd };

			if (output->has_writer && output->length == 0)
				shutdown(output->fd, SHUT_WR);
			is_done = is_done && (!output->has_writer || poll(&state, 1, 0) == 1);
		}
	} while (!is_done && now_us() < deadline && poll(NULL, 0, STEP_MS) == 0);
}
