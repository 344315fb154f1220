/* room.c - see room.h. */

#define _GNU_SOURCE /* memrchr, SOCK_NONBLOCK */

#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/line_ends.h"
#include "../common/tcp.h"

/* The server is tried again after so long, and at most after so long. Most servers that are full
 * have told so after SETTLE_US: nothing is sent before. */
enum { BACKOFF_US = 20000, MOST_BACKOFF_US = 500000, FULL_US = 1000000, SETTLE_US = 100000 };

/* How long to wait where the kernel has no memory for what is sent. */
enum { RETRY_US = 100000 };

/* An attempt to connect is given up after so long. */
enum { PATIENCE_US = 3000000 };

/* While more waits for the server, the broker keeps the rest. */
enum { BEHIND = 256 * 1024 };

void room_init(struct room *room, struct addresses *addresses, struct spool *spool)
{
	room->addresses = addresses;
	room->spool = spool;
	room->sd = -1;
	room->backoff = BACKOFF_US;
	spool_begin_epoch(spool, (uint64_t)clock_us(CLOCK_REALTIME));
}

static bool was_refused(const struct room *room)
{
	return room->is_silent && room->in_length == sizeof ROOM_IS_FULL - 1 &&
	       memcmp(room->in, ROOM_IS_FULL, sizeof ROOM_IS_FULL - 1) == 0;
}

/* Drops the rest of a line whose beginning has gone to another connection. */
static void drop_cut_line(struct room *room)
{
	const char *end = NULL;

	if (!room->is_cut_in_line)
		return;
	if (room_queued(room) > 0)
		end = memchr(room->out + room->out_sent, '\n', room_queued(room));
	room->out_sent = end != NULL ? (size_t)(end + 1 - room->out) : room->out_length;
	if (end == NULL) {
		room->skipped = room->speaker;
		room->in_line = false;
	}
	room->is_cut_in_line = false;
	room->unlogged++;
}

void room_close(struct room *room)
{
	if (room->sd != -1)
		close(room->sd);
	room->sd = -1;
	room->is_connected = room->is_settled = false;
	room->in_length = 0; /* half a line */
}

/* Handles the end of a connection, or a failed attempt. */
static void lose(struct room *room, const char *why)
{
	const bool is_full = was_refused(room);
	int64_t wait = is_full ? FULL_US : room->backoff;

	if (is_full) {
		why = "the room is full";
		room->unlogged += room->unread_lines;
	}
	if (room->is_connected) {
		spool_begin_epoch(room->spool, (uint64_t)clock_us(CLOCK_REALTIME));
		drop_cut_line(room);
	} else if (!addresses_all_tried(room->addresses)) {
		wait = 0;
	}
	/* Each address may fail for a reason of its own: the last one's is logged. */
	if (wait != 0)
		trouble_log(&room->trouble, "server", why);
	room_close(room);
	room->act_at = now_us() + wait;
	if (wait != 0 && room->backoff < MOST_BACKOFF_US)
		room->backoff *= 2;
	if (room->backoff > MOST_BACKOFF_US)
		room->backoff = MOST_BACKOFF_US;
}

static void begin_connection(struct room *room)
{
	const struct addrinfo *address = addresses_take(room->addresses);

	room->is_silent = true;
	room->unread_lines = 0;
	room->act_at = now_us() + PATIENCE_US;
	room->sd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (room->sd == -1 || set_up_tcp(room->sd) == -1 ||
	    (connect(room->sd, address->ai_addr, address->ai_addrlen) == -1 &&
	     errno != EINPROGRESS))
		lose(room, strerror(errno));
}

/* Looks how the attempt to connect has ended. */
static void end_connecting(struct room *room)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(room->sd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		error = errno;
	if (error != 0) {
		lose(room, strerror(error));
		return;
	}
	room->is_connected = true;
	room->connections++;
	room->act_at = now_us() + SETTLE_US;
}

void room_prepare(struct room *room, fd_set *readable, fd_set *writable, int64_t *due)
{
	const int64_t now = now_us();

	if (room->sd == -1 && now >= room->act_at && !room->is_closing)
		begin_connection(room);
	else if (room->sd != -1 && !room->is_connected && now >= room->act_at)
		lose(room, strerror(ETIMEDOUT));
	if (room->act_at > now && room->act_at < *due)
		*due = room->act_at;
	if (room->sd == -1) {
		*due = room->act_at < *due && !room->is_closing ? room->act_at : *due;
		return;
	}
	if (room->is_connected && !room->is_settled && now >= room->act_at) {
		trouble_ends(&room->trouble, "server");
		room->is_settled = true;
		room->backoff = BACKOFF_US;
	}
	if (room->is_connected && !room->is_closing)
		FD_SET(room->sd, readable);
	if (!room->is_connected ||
	    (room->is_settled && room_queued(room) > 0 && now >= room->act_at))
		FD_SET(room->sd, writable);
}

/* Returns how long the piece is that is spooled of a long line; 0 where more has to come first. It
 * does not end between FF and the byte that tells whether the two are a telnet command. */
static size_t piece_length(const struct room *room)
{
	size_t length = room->in_length, at = length;

	while (at > 0 && (unsigned char)room->in[at - 1] == 0xFF)
		at--;
	length -= (length - at) % 2;
	return length >= LINE_PIECE ? length : 0;
}

/* Spools the whole lines that have come. */
static void spool_lines(struct room *room)
{
	const char *end = memrchr(room->in, '\n', room->in_length);
	size_t length = end != NULL ? (size_t)(end + 1 - room->in) : 0;

	if (length == 0 && room->in_length >= LINE_PIECE)
		length = piece_length(room);
	if (length == 0 || was_refused(room))
		return;
	room->is_silent = false;
	spool_add(room->spool, room->in, length);
	room->in_length -= length;
	memmove(room->in, room->in + length, room->in_length);
}

static void hear(struct room *room)
{
	const ssize_t count = read(room->sd, room->in + room->in_length,
	                           sizeof room->in - room->in_length);

	if (count > 0) {
		room->in_length += (size_t)count;
		spool_lines(room);
	} else if (count == 0) {
		lose(room, "it has closed the connection");
	} else if (errno != EAGAIN && errno != EINTR) {
		lose(room, strerror(errno));
	}
}

void room_serve(struct room *room, const fd_set *readable, const fd_set *writable)
{
	if (room->sd == -1)
		return;
	if (!room->is_connected && FD_ISSET(room->sd, writable))
		end_connecting(room);
	else if (room->is_connected && FD_ISSET(room->sd, readable))
		hear(room);
}

/* Makes room for so many bytes more. */
static bool grow(struct room *room, size_t length)
{
	char *grown;
	size_t size = room->out_size > 0 ? room->out_size : BEHIND;

	if (room->out_sent > 0) {
		room->out_length -= room->out_sent;
		memmove(room->out, room->out + room->out_sent, room->out_length);
		room->out_sent = 0;
	}
	while (size - room->out_length < length)
		size *= 2;
	if (size == room->out_size)
		return true;
	grown = realloc(room->out, size);
	if (grown == NULL)
		return false;
	room->out = grown;
	room->out_size = size;
	return true;
}

/* Returns how much of a text is to be skipped. */
static size_t skip(struct room *room, const void *speaker, const char *text, size_t length,
                   bool is_piece)
{
	const char *end = memchr(text, '\n', length);

	if (speaker == NULL || speaker != room->skipped)
		return 0;
	if (end != NULL || !is_piece)
		room->skipped = NULL;
	return end != NULL ? (size_t)(end + 1 - text) : length;
}

bool room_say(struct room *room, const void *speaker, const char *text, size_t length,
              bool is_piece)
{
	const size_t skipped = length > 0 ? skip(room, speaker, text, length, is_piece) : 0;

	text += skipped;
	length -= skipped;
	if (length == 0)
		return true;
	if (room->out_size - room->out_length < length + 2 && !grow(room, length + 2))
		return false;
	/* Another's line must not continue one that goes on in pieces. */
	if (room->in_line && (speaker == NULL || speaker != room->speaker))
		room->out[room->out_length++] = '\n';
	memcpy(room->out + room->out_length, text, length);
	room->out_length += length;
	if (text[length - 1] != '\n' && !is_piece)
		room->out[room->out_length++] = '\n';
	room->in_line = room->out[room->out_length - 1] != '\n';
	room->speaker = speaker;
	return true;
}

void room_end_line(struct room *room, const void *speaker)
{
	if (room->speaker == speaker)
		room->speaker = NULL;
	if (room->skipped == speaker)
		room->skipped = NULL;
}

void room_flush(struct room *room)
{
	ssize_t count;

	while (room->is_settled && room_queued(room) > 0) {
		count = send(room->sd, room->out + room->out_sent, room_queued(room),
		             MSG_DONTWAIT | MSG_NOSIGNAL);
		/* The kernel is short of memory, and select() would call the socket writable. */
		if (count == -1 && (errno == ENOBUFS || errno == ENOMEM)) {
			trouble_log(&room->trouble, "server", strerror(errno));
			room->act_at = now_us() + RETRY_US;
		}
		/* If it has failed, read() gives what is left to be heard, and then the end. */
		if (count <= 0)
			return;
		if (room->is_silent)
			room->unread_lines += count_line_ends(room->out + room->out_sent,
			                                      (size_t)count);
		room->out_sent += (size_t)count;
		room->is_cut_in_line = room->out[room->out_sent - 1] != '\n';
	}
	if (room_queued(room) > 0)
		return;
	room->out_length = room->out_sent = 0;
	if (room->out_size > BEHIND) {
		free(room->out);
		room->out = NULL;
		room->out_size = 0;
	}
}

size_t room_queued(const struct room *room)
{
	return room->out_length - room->out_sent;
}

void room_lose_queued(struct room *room)
{
	if (room_queued(room) > 0)
		room->unlogged += count_line_ends(room->out + room->out_sent, room_queued(room));
}

bool room_is_behind(const struct room *room)
{
	return room_queued(room) > BEHIND;
}
