/*
 * relay - joins the room of a chat server to those of others, by an MQTT broker.
 *
 * To the server it is a client like any other. What it hears there it publishes, a message for each
 * read; what other relays publish, it says there. One thread, one select().
 */

#define _GNU_SOURCE /* clock_gettime */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../common/clock.h"
#include "../common/line_ends.h"
#include "../common/log.h"
#include "../common/notify.h"
#include "../common/signals.h"
#include "../common/telnet.h"
#include "broker.h"
#include "options.h"
#include "origins.h"
#include "room.h"
#include "spool.h"

/* The longest wait; until the log is tried again; and the end's wait for broker and server. */
enum { SECOND_US = 1000000, RETRY_US = 100000, FAREWELL_US = 500000 };

/* The status where another relay has the same name: the unit for systemd tells it from others. */
enum { EXIT_TAKEN = 2 };

struct relay {
	struct options options;
	struct spool spool;
	struct room room;
	struct broker broker;
	struct origins origins;
	sigset_t waiting_mask; /* the signal mask while pselect() waits */
	int64_t started_at, log_losses_at;
	uint64_t lines_in, lost_in, doubled;
};

/* ---- What others say ---- */

/* Filters a line, and keeps the line end that a command would take. Returns the new length. */
static size_t strip_line(char *line, size_t length)
{
	enum { SLICE = 4096 };
	const bool has_end = line[length - 1] == '\n';
	struct telnet telnet = { .state = TELNET_TEXT };
	char answers[SLICE + TELNET_ANSWERS_EXTRA], *to = line;
	size_t at, count, ignored;

	for (at = 0; at < length; at += SLICE) {
		const char *left;

		count = length - at < SLICE ? length - at : SLICE;
		left = telnet_filter(&telnet, line + at, &count, answers, &ignored);
		memmove(to, left, count);
		to += count;
	}
	if (has_end && (to == line || to[-1] != '\n'))
		*to++ = '\n';
	return (size_t)(to - line);
}

/* Takes telnet commands out of the text, or the server would answer them, and the answers would be
 * heard in the room. No command goes on in another line, which may be another client's. Returns the
 * new length. */
static size_t strip_commands(char *text, size_t length)
{
	char *from = text, *to = text, *const end = text + length;

	if (memchr(text, 0xFF, length) == NULL)
		return length;
	while (from < end) {
		const char *newline = memchr(from, '\n', (size_t)(end - from));
		const size_t taken = (size_t)((newline != NULL ? newline + 1 : end) - from);
		const size_t left = strip_line(from, taken);

		memmove(to, from, left);
		to += left;
		from += taken;
	}
	return (size_t)(to - text);
}

static void lose(struct relay *relay, struct origin *origin, uint64_t lines)
{
	relay->lost_in += lines;
	if (origin != NULL)
		origin->unlogged += lines;
}

/* Takes a message of another relay. */
static void hear(void *context, const char *name, const struct stamp *stamp, char *text,
                 size_t length)
{
	struct relay *relay = context;
	struct origin *origin = origins_find(&relay->origins, name);
	const bool is_piece = stamp != NULL && length >= LINE_PIECE;
	const bool needs_end = !is_piece && text[length - 1] != '\n';
	const uint64_t lines = count_line_ends(text, length) + needs_end;
	enum verdict verdict;
	uint64_t lost = 0;

	if (origin != NULL && stamp != NULL) {
		verdict = origin_check(origin, stamp, lines, &lost);
		if (verdict == ORIGIN_REPEATS) {
			relay->doubled++;
			return;
		}
		if (verdict == ORIGIN_BEGINS_EPOCH)
			log_warning(name, "lines may be lost",
			            "it has started, or lost its server");
		/* The rest of a line that it was in is missing. */
		if (verdict != ORIGIN_GOES_ON)
			room_end_line(&relay->room, origin);
		lose(relay, origin, lost);
	}
	length = strip_commands(text, length);
	if (room_say(&relay->room, origin, text, length, is_piece)) {
		relay->lines_in += lines;
	} else {
		room_end_line(&relay->room, origin);
		lose(relay, origin, lines);
	}
}

/* ---- What is logged ---- */

/* Logs how many lines have been lost since the last time. */
static void log_losses(struct relay *relay)
{
	struct origin *origin;

	if (relay->spool.unlogged > 0)
		log_text(LOG_WARNING, "lost: %" PRIu64 " lines of this server",
		         relay->spool.unlogged);
	relay->spool.unlogged = 0;
	if (relay->room.unlogged > 0)
		log_text(LOG_WARNING, "lost: %" PRIu64 " lines of others", relay->room.unlogged);
	relay->lost_in += relay->room.unlogged;
	relay->room.unlogged = 0;
	for (origin = relay->origins.all; origin < relay->origins.all + ORIGINS; origin++) {
		if (origin->unlogged > 0)
			log_text(LOG_WARNING, "%s: lost: %" PRIu64 " lines", origin->name,
			         origin->unlogged);
		origin->unlogged = 0;
	}
}

static uint64_t repeated(uint64_t count)
{
	return count > 0 ? count - 1 : 0;
}

static void log_stats(const struct relay *relay)
{
	const struct spool *spool = &relay->spool;
	const struct broker *broker = &relay->broker;

	log_text(LOG_INFO,
	         "stats: lines_in=%" PRIu64 " lines_out=%" PRIu64 " queued_bytes=%zu"
	         " spooled_lines=%" PRIu64 " spooled_bytes=%zu in_flight=%u"
	         " lost_in=%" PRIu64 " lost_out=%" PRIu64 " doubled=%" PRIu64 " loops=%" PRIu64
	         " server_reconnects=%" PRIu64 " broker_reconnects=%" PRIu64
	         " dropped_lines=%" PRIu64 " uptime_s=%jd",
	         relay->lines_in, broker->lines_out, room_queued(&relay->room), spool->lines,
	         spool->bytes, broker->in_flight, relay->lost_in + relay->room.unlogged,
	         spool->lost, relay->doubled, broker->loops, repeated(relay->room.connections),
	         repeated(broker->connections), log_dropped(),
	         (intmax_t)(now_us() - relay->started_at) / SECOND_US);
}

/* ---- A pass ---- */

/* Waits until something is ready, or `due`. Returns -1 with errno set when that has failed. */
static int wait_for(struct relay *relay, fd_set *readable, fd_set *writable, int64_t due)
{
	const int64_t left = due - now_us();
	const struct timespec timeout = { .tv_sec = left > 0 ? left / SECOND_US : 0,
		                          .tv_nsec = left > 0 ? left % SECOND_US * 1000 : 0 };

	if (pselect(FD_SETSIZE, readable, writable, NULL, &timeout, &relay->waiting_mask) != -1)
		return 0;
	FD_ZERO(readable);
	FD_ZERO(writable);
	return errno == EINTR ? 0 : -1;
}

/* Makes one pass, and waits in it until `due`, unless something is ready before. Returns -1 with
 * errno set when select() has failed. */
static int run_once(struct relay *relay, int64_t due)
{
	const bool hold = room_is_behind(&relay->room);
	fd_set readable, writable;
	bool must_retry = log_flush();

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	room_prepare(&relay->room, &readable, &writable, &due);
	broker_prepare(&relay->broker, hold, &readable, &writable, &due);
	must_retry |= relay->room.is_settled && !notify_ready();
	if (must_retry && due > now_us() + RETRY_US)
		due = now_us() + RETRY_US;
	if (wait_for(relay, &readable, &writable, due) == -1)
		return -1;
	room_serve(&relay->room, &readable, &writable);
	broker_serve(&relay->broker, hold, &readable, &writable);
	room_flush(&relay->room);
	if (now_us() >= relay->log_losses_at) {
		relay->log_losses_at = now_us() + SECOND_US;
		log_losses(relay);
	}
	return 0;
}

static int serve(struct relay *relay)
{
	while (!should_stop()) {
		if (stats_requested())
			log_stats(relay);
		if (run_once(relay, now_us() + SECOND_US) == -1) {
			log_text(LOG_ERR, "select: %s", strerror(errno));
			return EXIT_FAILURE;
		}
		if (relay->broker.is_taken) {
			log_text(LOG_ERR, "taken: another relay has the name %s, see --id",
			         relay->options.id);
			return EXIT_TAKEN;
		}
	}
	return EXIT_SUCCESS;
}

/* Whether something waits for the server, or for a broker that is to be had. */
static bool has_to_wait(const struct relay *relay)
{
	const struct broker *broker = &relay->broker;

	return room_queued(&relay->room) > 0 ||
	       (!broker->is_taken && (relay->spool.first != NULL || broker->in_flight > 0));
}

/* Hears no more in the room, and gives the broker a moment to confirm what was heard, and the
 * server to take what others have said: to the broker that has arrived. */
static void end(struct relay *relay)
{
	const int64_t end_at = now_us() + FAREWELL_US;

	run_once(relay, now_us());
	relay->room.is_closing = true;
	while (has_to_wait(relay) && now_us() < end_at && run_once(relay, end_at) == 0)
		continue;
	while (relay->spool.first != NULL) {
		spool_lose(&relay->spool, relay->spool.first->lines);
		spool_remove_first(&relay->spool);
	}
	room_lose_queued(&relay->room);
	log_losses(relay);
	if (relay->broker.in_flight > 0)
		log_text(LOG_WARNING, "not confirmed: %" PRIu64 " lines of this server",
		         broker_unconfirmed(&relay->broker));
	room_close(&relay->room);
	broker_close(&relay->broker);
}

static int fail(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

/* Sees to it that select() can watch every descriptor. */
static int limit_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return -1;
	if (limit.rlim_cur > FD_SETSIZE)
		limit.rlim_cur = FD_SETSIZE;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char *argv[])
{
	static struct relay relay;
	struct options *options = &relay.options;
	int status;

	if (signals_prepare() == -1)
		return fail("signals");
	if (log_reserve() == -1)
		return fail("/dev/null");
	if (limit_descriptors() == -1)
		return fail("RLIMIT_NOFILE");
	parse_options(argc, argv, options);
	if (look_up(&options->server) == -1 || look_up(&options->broker) == -1)
		return EXIT_FAILURE;
	relay.started_at = now_us();
	relay.spool.limit = options->spool;
	room_init(&relay.room, &options->server, &relay.spool);
	relay.broker = (struct broker){
		.options = options, .spool = &relay.spool, .hear = hear, .context = &relay
	};
	if (broker_init(&relay.broker) == -1)
		return EXIT_FAILURE;
	if (log_open(true) == -1)
		return fail("standard output or error");
	/* Not earlier: until here a signal ends the program, even during a slow name lookup. */
	if (signals_block(&relay.waiting_mask) == -1)
		return fail("signals");
	status = serve(&relay);
	end(&relay);
	return status;
}
