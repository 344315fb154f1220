/* log.c - see log.h. */

#define _GNU_SOURCE /* NI_MAXHOST, localtime_r */

#include "log.h"

#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool transcript_disabled;

/* Whether standard error leads to systemd's journal, which takes each line for an entry and reads
 * its priority from a number in front of it (sd-daemon(3)). */
static bool journal;

/* JOURNAL_STREAM has the device and inode of the journal's socket. It stays set where standard
 * error is redirected, so the two have to be compared. */
static bool leads_to_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	char name[48];

	if (stream == NULL || fstat(fd, &status) == -1)
		return false;
	snprintf(name, sizeof name, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
	return strcmp(name, stream) == 0;
}

/* Opens what a standard descriptor leads to anew, so that O_NONBLOCK is not set for the other
 * processes that share it. Where that cannot be done, the descriptor goes on blocking. */
static void unblock(int standard, const char *path)
{
	struct stat status;
	int fd;

	if (fstat(standard, &status) == -1 || !(S_ISFIFO(status.st_mode) || isatty(standard)))
		return;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
	if (fd != -1) {
		dup2(fd, standard);
		close(fd);
	}
}

int prepare_output(void)
{
	int fd;

	/* open() returns the lowest free descriptor. */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd == -1)
			return -1;
	} while (fd <= STDERR_FILENO);
	close(fd);
	unblock(STDOUT_FILENO, "/proc/self/fd/1");
	unblock(STDERR_FILENO, "/proc/self/fd/2");
	journal = leads_to_journal(STDERR_FILENO);
	/* localtime_r() need not call it. */
	tzset();
	return 0;
}

void transcript_disable(void)
{
	transcript_disabled = true;
}

void transcript(const char *format, ...)
{
	va_list arguments;

	if (transcript_disabled)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

static const char *line_start(int priority)
{
	static char start[sizeof "2000-01-01T00:00:00+0000 "];
	time_t seconds = time(NULL);
	struct tm local;

	if (journal)
		snprintf(start, sizeof start, "<%d>", priority);
	else
		strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%S%z ",
		         localtime_r(&seconds, &local));
	return start;
}

void log_line(int priority, const struct sockaddr *peer, socklen_t length, const char *what,
              const char *why)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

	if (peer == NULL) {
		fprintf(stderr, "%s%s: %s\n", line_start(priority), what, why);
		return;
	}
	getnameinfo(peer, length, host, sizeof host, port, sizeof port,
	            NI_NUMERICHOST | NI_NUMERICSERV);
	fprintf(stderr, "%s[%s]:%s: %s: %s\n", line_start(priority), host, port, what, why);
}
