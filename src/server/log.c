/* log.c - see log.h. */

#define _GNU_SOURCE /* localtime_r, struct tm's tm_gmtoff */

#include "log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

/* Warnings of a kind that are logged one by one. After a second without any it begins anew. */
enum { WARNINGS_IN_FULL = 10 };

/* Warnings of one kind, that is with the same `what`. */
struct warnings {
	const char *what;
	int in_full;            /* logged one by one */
	unsigned int held_back; /* since then, or since the last summary */
	time_t last, summary;   /* when, in seconds */
	char text[200];         /* the last that was held back */
};

/* More than the server has; the last would be for all others. */
enum { KINDS = 16 };
static struct warnings kinds[KINDS];

static bool transcript_disabled, visits_enabled;

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

int log_open(void)
{
	journal = leads_to_journal(STDERR_FILENO);
	/* localtime_r() need not call it. */
	tzset();
	return outputs_open();
}

void transcript_disable(void)
{
	transcript_disabled = true;
}

void log_visits_enable(void)
{
	visits_enabled = true;
}

void transcript(const char *format, ...)
{
	va_list arguments;

	if (transcript_disabled)
		return;
	va_start(arguments, format);
	output_print(STDOUT_FILENO, format, arguments);
	va_end(arguments);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	output_print(STDERR_FILENO, format, arguments);
	va_end(arguments);
	outputs_flush();
}

/* The time as in RFC 3339, whose offset has a colon that strftime() leaves out. */
static void format_time(char *text, size_t size)
{
	time_t seconds = time(NULL);
	struct tm local;
	size_t length;

	localtime_r(&seconds, &local);
	length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &local);
	snprintf(text + length, size - length, "%c%02ld:%02ld ", local.tm_gmtoff < 0 ? '-' : '+',
	         labs(local.tm_gmtoff) / 3600, labs(local.tm_gmtoff) / 60 % 60);
}

void log_text(int priority, const char *format, ...)
{
	char start[48], text[500];
	va_list arguments;

	if (journal)
		snprintf(start, sizeof start, "<%d>", priority);
	else
		format_time(start, sizeof start);
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	complain("%s%s\n", start, text);
}

void log_visit(const char *address, const char *what)
{
	if (visits_enabled)
		log_text(LOG_INFO, "%s: %s", address, what);
}

static time_t now_in_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The warnings of this kind so far. */
static struct warnings *find_kind(const char *what)
{
	struct warnings *kind = kinds;

	while (kind < kinds + KINDS - 1 && kind->what != NULL && strcmp(kind->what, what) != 0)
		kind++;
	kind->what = what;
	return kind;
}

void log_warning(const char *address, const char *what, const char *why)
{
	struct warnings *kind = find_kind(what);
	time_t now = now_in_s();

	if (kind->held_back == 0 && now - kind->last > 1)
		kind->in_full = 0;
	kind->last = now;
	snprintf(kind->text, sizeof kind->text, "%s%s%s: %s", address != NULL ? address : "",
	         address != NULL ? ": " : "", what, why);
	if (kind->in_full < WARNINGS_IN_FULL) {
		kind->in_full++;
		kind->summary = now;
		log_text(LOG_WARNING, "%s", kind->text);
	} else {
		kind->held_back++;
	}
}

bool log_summarize(bool at_once)
{
	time_t now = now_in_s();
	bool some_left = false;
	struct warnings *kind;

	for (kind = kinds; kind < kinds + KINDS; kind++) {
		if (kind->held_back == 0)
			continue;
		if (!at_once && now == kind->summary) {
			some_left = true;
			continue;
		}
		if (kind->held_back == 1)
			log_text(LOG_WARNING, "%s", kind->text);
		else
			log_text(LOG_WARNING, "%s (and %u more like it)", kind->text,
			         kind->held_back - 1);
		kind->held_back = 0;
		kind->summary = now;
	}
	return some_left;
}
