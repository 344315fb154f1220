/* log.c - see log.h. */

#define _GNU_SOURCE /* NI_MAXHOST, localtime_r */

#include "log.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static bool quiet;

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
