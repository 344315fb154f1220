/* flow.c - see flow.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "flow.h"

#include "../common/clock.h"
#include "../common/fdset_next.h"

/* Each byte that a client sends is forgotten after this time, one after the other: 15 KiB a second.
 * Somebody who only chats sends less. */
enum { US_A_BYTE = 64 };

/* LIGHT_SENDER: what most lines in a chat are below. HEAVY_SENDER: a page of text at once is less.
 * VERY_LITTLE: so little that a thousand who send it do not fill the usual queue. */
enum { LIGHT_SENDER = 4096, HEAVY_SENDER = 64 * 1024, VERY_LITTLE = 2048 };

/* A client that has sent a whole LIGHT_SENDER at once probably has more, and is no light sender for
 * so long, however few bytes a busy server reads from it. */
enum { HAS_MORE_US = 2000000 };

/* No more than this is remembered, so that a sender who stops is no heavy one a second later. */
enum { MOST_REMEMBERED = HEAVY_SENDER + 1000000 / US_A_BYTE };

/* BUDGET_US: a reader that pauses for two seconds beside a flood loses nothing.
 * REFILL: by a thirtieth of the time, two seconds a minute.
 * CATCH_UP: a reader that takes so much a second is waited for as long as it takes. */
enum { BUDGET_US = 3000000, REFILL = 30, CATCH_UP = 4 * 1024 * 1024 };

/* MAX_BACKLOG: a few milliseconds' worth. MAX_ALLOWANCE: for a queue without limit as well. */
enum { MAX_BACKLOG = 256 * 1024, MAX_ALLOWANCE = 2 * 1024 * 1024 };

/* What any newcomer has left: enough to take what comes in at first, twice MAX_BACKLOG at most,
 * with CATCH_UP bytes a second. */
enum { NEWCOMER_US = 125000 };

void flow_init(struct flow *flow, size_t max_queue)
{
	size_t eighth = max_queue == 0 ? SIZE_MAX / 8 : max_queue / 8;

	flow->backlog_limit = eighth < MAX_BACKLOG ? eighth : MAX_BACKLOG;
	flow->allowance = 2 * eighth < MAX_ALLOWANCE ? 2 * eighth : MAX_ALLOWANCE;
	flow->most_backlog = 6 * eighth;
	flow->most_sent = INT64_MAX;
}

static int64_t max(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

void flow_join(struct flow *flow, int sd)
{
	int64_t now = now_us(), most = now + (BUDGET_US - NEWCOMER_US) * REFILL, budget_full_at = 0;
	int other;

	/* Those who have left are among them until their descriptors have new owners. */
	for (other = 0; other < FD_SETSIZE; other++)
		budget_full_at = max(budget_full_at, flow->clients[other].budget_full_at);
	flow->clients[sd] = (struct flow_client){
		.budget_full_at = budget_full_at < most ? budget_full_at : most,
		.behind_from = flow->bytes_before,
		.idle_from = now,
	};
	FD_CLR(sd, &flow->behind);
}

/* How many bytes the client has sent lately. */
static int64_t sent_lately(const struct flow *flow, int sd, int64_t now)
{
	return max(flow->clients[sd].forgotten_at - now, 0) / US_A_BYTE;
}

void flow_received(struct flow *flow, int sd, size_t length)
{
	int64_t now = now_us(), sent = sent_lately(flow, sd, now) + (int64_t)length;

	if (sent > MOST_REMEMBERED)
		sent = MOST_REMEMBERED;
	flow->clients[sd].forgotten_at = now + sent * US_A_BYTE;
	if (length >= LIGHT_SENDER)
		flow->clients[sd].light_at = now + HAS_MORE_US;
}

bool flow_is_light(const struct flow *flow, int sd)
{
	int64_t now = now_us();

	return now >= flow->clients[sd].light_at && sent_lately(flow, sd, now) < LIGHT_SENDER;
}

/* Notes that a reader has fallen behind, and that it had taken everything by then. It gets back the
 * time in which it held senders, as far as it could not have taken that much in the time left at
 * CATCH_UP bytes a second. */
static void fall_behind(const struct flow *flow, struct flow_client *reader, int64_t now)
{
	/* By the millisecond: a product with all bytes could overflow. */
	uint64_t taken = (flow->bytes_before - reader->behind_from) / (CATCH_UP / 1000) * 1000;

	reader->budget_full_at -= max((int64_t)taken - (now - reader->idle_from), 0) * REFILL;
	reader->behind_from = flow->bytes_before;
	reader->holds_from = flow->bytes_before + flow->backlog_limit;
	reader->idle_from = now;
}

/* Charges a reader for the time that senders have waited for it, and lets them send a little. */
static void charge(const struct flow *flow, struct flow_client *reader, int64_t now)
{
	int64_t waited = now - flow->updated_at;

	reader->budget_full_at = max(reader->budget_full_at, now) + waited * REFILL;
	reader->holds_from += flow->allowance * (uint64_t)waited / BUDGET_US;
	reader->idle_from += waited;
}

/* Decides what a reader that is behind lets others have sent. */
static int64_t most_sent(const struct flow *flow, struct flow_client *reader, int64_t now)
{
	reader->is_holding = flow->bytes >= reader->holds_from &&
	                     reader->budget_full_at - now < BUDGET_US * REFILL;
	if (!reader->is_holding)
		return INT64_MAX;
	if (flow->bytes - reader->behind_from >= flow->most_backlog)
		return 0;
	return flow->bytes < reader->holds_from + flow->allowance ? HEAVY_SENDER : VERY_LITTLE;
}

void flow_update(struct flow *flow, const fd_set *behind)
{
	int64_t now = now_us();
	int sd;

	flow->most_sent = INT64_MAX;
	FOR_EACH_FD (sd, behind) {
		struct flow_client *reader = &flow->clients[sd];
		int64_t most;

		if (!FD_ISSET(sd, &flow->behind))
			fall_behind(flow, reader, now);
		else if (reader->is_holding && flow->somebody_waits)
			charge(flow, reader, now);
		most = most_sent(flow, reader, now);
		if (most < flow->most_sent)
			flow->most_sent = most;
	}
	flow->behind = *behind;
	flow->bytes_before = flow->bytes;
	flow->updated_at = now;
	flow->somebody_waits = false;
}

bool flow_holds_newcomers(struct flow *flow)
{
	if (flow->most_sent == INT64_MAX)
		return false;
	/* Nobody has waited since the last pass. */
	if (!flow->somebody_waits)
		flow->updated_at = now_us();
	flow->somebody_waits = true;
	return true;
}

bool flow_throttle(struct flow *flow, fd_set *readable)
{
	int64_t now = now_us();
	int sd;

	FOR_EACH_FD (sd, readable) {
		if (sent_lately(flow, sd, now) < flow->most_sent)
			continue;
		FD_CLR(sd, readable);
		flow->somebody_waits = true;
	}
	return flow->somebody_waits;
}
