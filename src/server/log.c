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

/* Warnings of a kind that are logged at once. After a second without any it begins anew. */
enum { WARNINGS_AT_ONCE = 10 };

/* Warnings of a kind, that is with the same `what`. */
struct warnings {
	const char *what;
	int at_once;
	unsigned int held_back; /* since those, or since the last summary */
	time_t last;
	char text[200]; /* of the last one */
};

/* More than the server has; the last would be for all others. */
enum { KINDS = 16 };
static struct warnings kinds[KINDS];
static bool some_held_back;

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

void log_warning(const char *address, const char *what, const char *why)
{
	struct warnings *kind = kinds;
	time_t now = time(NULL);

	while (kind < kinds + KINDS - 1 && kind->what != NULL && strcmp(kind->what, what) != 0)
		kind++;
	kind->what = what;
	if (now - kind->last > 1)
		kind->at_once = 0;
	kind->last = now;
	snprintf(kind->text, sizeof kind->text, "%s%s%s: %s", address != NULL ? address : "",
	         address != NULL ? ": " : "", what, why);
	if (kind->at_once < WARNINGS_AT_ONCE) {
		kind->at_once++;
		log_text(LOG_WARNING, "%s", kind->text);
	} else {
		kind->held_back++;
		some_held_back = true;
	}
}

bool log_summarize(bool at_once)
{
	static time_t last;
	struct warnings *kind;

	if (!some_held_back || (time(NULL) == last && !at_once))
		return some_held_back;
	for (kind = kinds; kind < kinds + KINDS; kind++) {
		if (kind->held_back == 1)
			log_text(LOG_WARNING, "%s", kind->text);
		else if (kind->held_back > 1)
			log_text(LOG_WARNING, "%s (and %u more like it)", kind->text,
			         kind->held_back - 1);
		kind->held_back = 0;
	}
	last = time(NULL);
	some_held_back = false;
	return false;
}
