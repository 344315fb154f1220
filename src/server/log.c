/* log.c - see log.h. */

#define _GNU_SOURCE /* localtime_r */

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

static bool is_quiet, is_verbose;

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

int log_open(bool quiet, bool verbose)
{
	is_quiet = quiet;
	is_verbose = verbose;
	journal = leads_to_journal(STDERR_FILENO);
	tzset(); /* localtime_r() need not call it */
	return outputs_open();
}

void transcript(const char *format, ...)
{
	char text[100];
	va_list arguments;

	if (is_quiet)
		return;
	va_start(arguments, format);
	output_write(STDOUT_FILENO, text, (size_t)vsnprintf(text, sizeof text, format, arguments));
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
	output_write(STDERR_FILENO, line,
	             (size_t)snprintf(line, sizeof line, "%s%s\n", start, text));
	outputs_flush();
}

void log_visit(const char *address, const char *what)
{
	if (is_verbose)
		log_text(LOG_INFO, "%s: %s", address, what);
}

void log_warning(const char *address, const char *what, const char *why)
{
	struct kind *kind = kinds;

	log_summarize(false);
	while (kind < last_kind && kind->what != NULL && strcmp(kind->what, what) != 0)
		kind++;
	kind->what = what;
	snprintf(kind->text, sizeof kind->text, "%s%s%s: %s", address != NULL ? address : "",
	         address != NULL ? ": " : "", what, why);
	if (kind->count++ < WARNINGS_AT_ONCE)
		log_text(LOG_WARNING, "%s", kind->text);
}

bool log_summarize(bool at_once)
{
	static time_t second;
	const bool is_over = at_once || time(NULL) != second;
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
