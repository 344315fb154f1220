/* room.h - the relay as a client of its server. It reads always, and never waits. */

#ifndef ROOM_H
#define ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

#include "../common/protocol.h"
#include "lookup.h"
#include "spool.h"
#include "trouble.h"

struct room {
	struct addresses *addresses;
	struct spool *spool; /* for what is said in the room */
	int sd;              /* -1 for none */
	bool is_connected;
	bool is_silent;  /* nothing has come from this connection yet */
	bool is_settled; /* it takes what is sent to it */
	bool is_closing; /* nothing is to be heard any more */
	int64_t act_at;  /* when to connect, to give up an attempt, or to send (again) */
	int64_t backoff; /* until the next attempt */
	struct trouble trouble;
	uint64_t connections; /* since the start */
	size_t in_length;
	char in[2 * LINE_PIECE]; /* begins with a line that is not complete */
	char *out;               /* waits for the server; NULL for nothing */
	size_t out_length, out_size, out_sent;
	const void *speaker;          /* whose text is last in `out` */
	const void *skipped;          /* up to whose next line end nothing is said */
	bool in_line, is_cut_in_line; /* `out` ends within a line; what has been sent does */
	uint64_t unread_lines;        /* sent while it is silent: lost if it proves to be full */
	uint64_t unlogged;            /* lines lost here that have not been logged */
};

void room_init(struct room *room, struct addresses *addresses, struct spool *spool);

/* Connects if it is time. Adds what is to be watched to the sets, and lowers *due to the time when
 * the relay has to look again. */
void room_prepare(struct room *room, fd_set *readable, fd_set *writable, int64_t *due);

/* Reads what has been said, and spools it. */
void room_serve(struct room *room, const fd_set *readable, const fd_set *writable);

/* Says a text of a speaker; a whole line unless it `is_piece`. Returns false when there is no
 * memory for it. */
bool room_say(struct room *room, const void *speaker, const char *text, size_t length,
              bool is_piece);

/* Has what this speaker says next begin a line. */
void room_end_line(struct room *room, const void *speaker);

/* Sends what the server takes. */
void room_flush(struct room *room);

/* How many bytes wait for the server. */
size_t room_queued(const struct room *room);

/* Counts the lines that wait for the server as lost. */
void room_lose_queued(struct room *room);

/* Whether so much waits for the server that nothing should be added. */
bool room_is_behind(const struct room *room);

void room_close(struct room *room);

#endif /* ROOM_H */
