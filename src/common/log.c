/* log.c - see log.h. */

#define _GNU_SOURCE /* SOCK_CLOEXEC, isatty, localtime_r */

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "line_ends.h"

/* ---- The outputs ---- */

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

int log_reserve(void)
{
	int fd;

	/* open() returns the lowest free descriptor, which is this one. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
			return -1;
	}
	return 0;
}

/* Whether it is a terminal, and not the master of one. */
static bool is_terminal(int fd)
{
	int number;

	return isatty(fd) && ioctl(fd, TIOCGPTN, &number) == -1 && errno == ENOTTY;
}

/* Opens a pipe or a terminal anew, so that it need not block. This fails for another user's file.
 * The master of a pseudo-terminal is left alone: opening it would make a new pseudo-terminal. */
static bool reopen(int fd, mode_t mode)
{
	int flags = fcntl(fd, F_GETFL), own;
	bool is_done;
	char path[32];

	if (flags == -1 || (!S_ISFIFO(mode) && !is_terminal(fd)))
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY);
	if (own == -1)
		return false;
	is_done = dup2(own, fd) != -1;
	close(own);
	return is_done;
}

static bool write_all(int to, const char *text, size_t length)
{
	struct pollfd room = { .fd = to, .events = POLLOUT };
	size_t done = 0;
	ssize_t count;

	while (done < length) {
		poll(&room, 1, -1); /* somebody else may have set O_NONBLOCK */
		count = write(to, text + done, length - done);
		if (count > 0)
			done += (size_t)count;
		else if (errno != EAGAIN)
			return false;
	}
	return true;
}

/* The writer process: copies until the server closes its end, the terminal is hung up or a write
 * fails; then the server drops and counts what it cannot pass to it. It dies with the server. */
__attribute__((noreturn)) static void copy(int from, int to, pid_t server)
{
	struct pollfd ends[] = { { .fd = from, .events = POLLIN },
		                 { .fd = is_terminal(to) ? to : -1 } };
	char text[4096];
	ssize_t length;
	sigset_t all;
	int fd;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server)
		exit(EXIT_FAILURE); /* it died before that call */
	for (fd = 0; fd < FD_SETSIZE; fd++) {
		if (fd != from && fd != to)
			close(fd);
	}
	do {
		poll(ends, 2, -1);
		length = ends[1].revents == 0 ? recv(from, text, sizeof text, 0) : 0;
	} while (length > 0 && write_all(to, text, (size_t)length));
	exit(EXIT_SUCCESS);
}

/* Puts a process in front of the output that waits in the server's place. */
static int start_writer(struct output *output)
{
	pid_t server = getpid(), process;
	bool failed;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	process = fork();
	if (process == 0)
		copy(ends[1], output->fd, server);
	output->is_socket = output->has_writer = true;
	failed = process == -1 || dup2(ends[0], output->fd) == -1;
	close(ends[0]);
	close(ends[1]);
	return failed ? -1 : 0;
}

static int open_output(struct output *output, int fd, const struct stat *status)
{
	bool may_wait = S_ISFIFO(status->st_mode) ||
	                (S_ISCHR(status->st_mode) && major(status->st_rdev) != MEMORY_DEVICES);

	output->fd = fd;
	output->is_socket = S_ISSOCK(status->st_mode);
	return !may_wait || reopen(fd, status->st_mode) ? 0 : start_writer(output);
}

/* Writes what the output takes. Returns whether the rest has to wait; what it will not take, whole
 * lines only, is dropped. */
static bool flush(struct output *output)
{
	const char *rest = output->text, *end = output->text + output->length;
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
		const char *lines = rest;

		if (output->in_line)
			lines = (const char *)memchr(rest, '\n', (size_t)(end - rest)) + 1;
		dropped += count_line_ends(lines, (size_t)(end - lines));
		end = lines;
	}
	output->length = (size_t)(end - rest);
	memmove(output->text, rest, output->length);
	return is_full;
}

/* Writes what both outputs take. Returns whether something has to wait. */
static bool flush_both(void)
{
	bool is_full = flush(&outputs[0]);

	return flush(&outputs[1]) || is_full;
}

/* Appends whole lines to STDOUT_FILENO or STDERR_FILENO. */
static void append(int fd, const char *text, size_t length)
{
	struct output *output = &outputs[fd == STDERR_FILENO && !is_one];

	if (length > OUTPUT_SIZE - output->length)
		flush(output);
	if (length > OUTPUT_SIZE - output->length) {
		dropped += count_line_ends(text, length);
		return;
	}
	memcpy(output->text + output->length, text, length);
	output->length += length;
}

/* ---- The log ---- */

/* Warnings of a kind that are logged at once. After a second without more it begins anew. */
enum { WARNINGS_AT_ONCE = 10 };

/* Warnings of a kind, that is with the same `what`. There are more kinds than the server has; the
 * last would be for all others. */
static struct kind {
	const char *what;
	unsigned int count; /* those beyond WARNINGS_AT_ONCE are held back */
	char text[200];     /* of the last one */
} kinds[16];
static const struct kind *const last_kind = kinds + sizeof kinds / sizeof kinds[0] - 1;

static bool is_quiet;

/* Whether standard error leads to systemd's journal, which takes each line for an entry, adds the
 * time itself, and reads a priority from a number in front (sd-daemon(3)). JOURNAL_STREAM has the
 * journal's device and inode. It stays set where standard error is redirected. */
static bool journal;

static bool leads_to_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char name[48];

	snprintf(name, sizeof name, "%ju:%ju", (uintmax_t)status->st_dev,
	         (uintmax_t)status->st_ino);
	return stream != NULL && strcmp(name, stream) == 0;
}

void transcript(const char *format, ...)
{
	char text[100];
	va_list arguments;

	if (is_quiet)
		return;
	va_start(arguments, format);
	append(STDOUT_FILENO, text, (size_t)vsnprintf(text, sizeof text, format, arguments));
	va_end(arguments);
}

/* Writes the time as in RFC 3339, whose offset has a colon that strftime() leaves out. */
static void format_time(char *text, size_t size)
{
	time_t seconds = time(NULL);
	struct tm local;
	char plain[32];

	localtime_r(&seconds, &local);
	strftime(plain, sizeof plain, "%Y-%m-%dT%H:%M:%S%z", &local);
	snprintf(text, size, "%.22s:%s ", plain, plain + 22);
}

void log_text(int priority, const char *format, ...)
{
	char start[48], text[500], line[sizeof start + sizeof text];
	va_list arguments;

	if (journal)
		snprintf(start, sizeof start, "<%d>", priority);
	else
		format_time(start, sizeof start);
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	append(STDERR_FILENO, line, (size_t)snprintf(line, sizeof line, "%s%s\n", start, text));
	flush_both();
}

/* Once a second, or at the end, logs the warnings that have been held back. Returns whether some
 * still are. */
static bool summarize(bool is_end)
{
	static time_t second;
	const bool is_over = is_end || time(NULL) != second;
	bool is_held_back = false;
	struct kind *kind;

	for (kind = kinds; kind <= last_kind; kind++) {
		const unsigned int count = kind->count;

		if (!is_over) {
			is_held_back |= count > WARNINGS_AT_ONCE;
			continue;
		}
		kind->count = count > WARNINGS_AT_ONCE ? WARNINGS_AT_ONCE : 0;
		if (count == WARNINGS_AT_ONCE + 1)
			log_text(LOG_WARNING, "%s", kind->text);
		else if (count > WARNINGS_AT_ONCE)
			log_text(LOG_WARNING, "%s (and %u more like it)", kind->text,
			         count - WARNINGS_AT_ONCE - 1);
	}
	second = time(NULL);
	return is_held_back;
}

void log_warning(const char *address, const char *what, const char *why)
{
	struct kind *kind = kinds;

	summarize(false);
	while (kind < last_kind && kind->what != NULL && strcmp(kind->what, what) != 0)
		kind++;
	kind->what = what;
	snprintf(kind->text, sizeof kind->text, "%s%s%s: %s", address != NULL ? address : "",
	         address != NULL ? ": " : "", what, why);
	if (kind->count++ < WARNINGS_AT_ONCE)
		log_text(LOG_WARNING, "%s", kind->text);
}

bool log_flush(void)
{
	bool is_held_back = summarize(false);

	return flush_both() || is_held_back;
}

uint64_t log_dropped(void)
{
	return dropped;
}

/* Gives the readers some time to take what is left. */
static void close_outputs(void)
{
	int64_t deadline = now_us() + FAREWELL_US;
	struct output *output;
	bool is_done;

	summarize(true);
	do {
		is_done = !flush_both();
		for (output = outputs; output < outputs + 2; output++) {
			/* poll() reports POLLHUP, the writer's end, without being asked for it. */
			struct pollfd state = { .fd = output->fd };

			if (output->has_writer && output->length == 0)
				shutdown(output->fd, SHUT_WR);
			is_done = is_done && (!output->has_writer || poll(&state, 1, 0) == 1);
		}
	} while (!is_done && now_us() < deadline && poll(NULL, 0, STEP_MS) == 0);
}

int log_open(bool quiet)
{
	struct stat out = { .st_ino = 0 }, error = { .st_ino = 0 };
	bool is_known;

	tzset(); /* localtime_r() need not call it */
	is_quiet = quiet;
	/* fstat() fails where a number does not fit into the struct: nothing is known then. */
	is_known = fstat(STDOUT_FILENO, &out) == 0;
	is_known &= fstat(STDERR_FILENO, &error) == 0;
	journal = leads_to_journal(&error);
	is_one = is_known && out.st_dev == error.st_dev && out.st_ino == error.st_ino;
	if (open_output(&outputs[0], STDOUT_FILENO, &out) == -1 ||
	    (!is_one && open_output(&outputs[1], STDERR_FILENO, &error) == -1))
		return -1;
	/* Until the first client comes, standard error is printed to by other means, too. */
	if (is_one)
		dup2(STDOUT_FILENO, STDERR_FILENO);
	return atexit(close_outputs) == 0 ? 0 : -1;
}
