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

/* At most this much comes in before senders are held: a few milliseconds' worth. */
enum { MAX_BACKLOG = 256 * 1024 };

/* With a queue limit above HUGE_QUEUE, or none, half of it would be too much to send to a reader
 * that has stalled. */
enum { HUGE_QUEUE = 1024 * 1024 * 1024, HUGE_QUEUE_ALLOWANCE = 4 * 1024 * 1024 };

void flow_init(struct flow *flow, size_t max_queue)
{
	bool is_huge = max_queue == 0 || max_queue > HUGE_QUEUE;

	flow->backlog_limit = is_huge || max_queue / 4 > MAX_BACKLOG ? MAX_BACKLOG : max_queue / 4;
	flow->backlog_allowance = is_huge ? HUGE_QUEUE_ALLOWANCE : max_queue / 2;
	flow->most_sent = INT64_MAX;
}

void flow_join(struct flow *flow, int sd)
{
	flow->clients[sd] = (struct flow_client){ .is_holding = false };
	FD_CLR(sd, &flow->behind);
}

static int64_t max(int64_t one, int64_t other)
{
	return one > other ? one : other;
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
	flow->bytes += length;
}

bool flow_is_light(const struct flow *flow, int sd)
{
	int64_t now = now_us();

	return now >= flow->clients[sd].light_at && sent_lately(flow, sd, now) < LIGHT_SENDER;
}

/* How long senders have been held for the reader, less what it has earned since. */
static int64_t used_budget(const struct flow_client *reader, int64_t now)
{
	return max(reader->rested_at - now, 0) / REFILL;
}

static void use_budget(struct flow_client *reader, int64_t now, int64_t duration)
{
	reader->rested_at = now + max(used_budget(reader, now) + duration, 0) * REFILL;
}

/* Has a reader earn what it has caught up with. */
static void catch_up(struct flow *flow, struct flow_client *reader, int64_t now)
{
	int64_t backlog = (int64_t)(flow->bytes - reader->behind_from);

	/* By the millisecond: a product with all bytes could overflow. */
	use_budget(reader, now, -(backlog / (CATCH_UP / 1000) * 1000));
	reader->is_holding = false;
}

/* Decides what a reader that is behind lets others have sent. */
static int64_t most_sent(const struct flow *flow, struct flow_client *reader, int64_t now)
{
	uint64_t backlog = flow->bytes - reader->behind_from;
	uint64_t used = (uint64_t)used_budget(reader, now);

	reader->is_holding = used < BUDGET_US &&
	                     backlog >= flow->backlog_limit +
	                                        flow->backlog_allowance * used / BUDGET_US;
	if (!reader->is_holding)
		return INT64_MAX;
	return backlog < flow->backlog_limit + flow->backlog_allowance ? HEAVY_SENDER : VERY_LITTLE;
}

void flow_update(struct flow *flow, const fd_set *behind)
{
	int64_t now = now_us();
	int sd;

	flow->most_sent = INT64_MAX;
	FOR_EACH_FD (sd, &flow->behind) {
		struct flow_client *reader = &flow->clients[sd];

		if (reader->is_holding && flow->somebody_waits)
			use_budget(reader, now, now - flow->updated_at);
		if (!FD_ISSET(sd, behind))
			catch_up(flow, reader, now);
	}
	FOR_EACH_FD (sd, behind) {
		struct flow_client *reader = &flow->clients[sd];
		int64_t most;

		if (!FD_ISSET(sd, &flow->behind))
			reader->behind_from = flow->bytes;
		most = most_sent(flow, reader, now);
		if (most < flow->most_sent)
			flow->most_sent = most;
	}
	flow->behind = *behind;
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
