/* log.c - see log.h. */

#define _GNU_SOURCE /* NI_MAXHOST, localtime_r */

#include "log.h"

#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool quiet;

/* Standard output once more, opened anew: that it does not block is no business of the others who
 * have it open. What cannot be opened so blocks, as ever. */
static void unblock_output(void)
{
	struct stat status;
	int fd;

	if (fstat(STDOUT_FILENO, &status) == -1 ||
	    !(S_ISFIFO(status.st_mode) || isatty(STDOUT_FILENO)))
		return;
	fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY);
	if (fd != -1) {
		dup2(fd, STDOUT_FILENO);
		close(fd);
	}
}

int prepare_output(void)
{
	int fd;

	/* The lowest number that is free comes first. */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd == -1)
			return -1;
	} while (fd <= STDERR_FILENO);
	close(fd);
	unblock_output();
	return 0;
}

void be_quiet(void)
{
	quiet = true;
}

void transcript(const char *format, ...)
{
	va_list arguments;

	if (quiet)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

void log_line(const struct sockaddr *peer, socklen_t length, const char *what, const char *why)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
	char date[sizeof "2000-01-01T00:00:00+0000"];
	time_t seconds = time(NULL);
	struct tm local;

	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&seconds, &local));
	if (peer == NULL) {
		fprintf(stderr, "%s %s: %s\n", date, what, why);
		return;
	}
	getnameinfo(peer, length, host, sizeof host, port, sizeof port,
	            NI_NUMERICHOST | NI_NUMERICSERV);
	fprintf(stderr, "%s [%s]:%s: %s: %s\n", date, host, port, what, why);
}
