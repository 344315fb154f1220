/* protocol.h - what clients can tell of the server. The relay is a client as well. */

#ifndef PROTOCOL_H
#define PROTOCOL_H

/* A long line goes on in pieces of this size, as chat_feed() passes it on, and other clients' lines
 * may come between them. */
enum { LINE_PIECE = 64 * 1024 };

/* The answer to a newcomer for whom there is no seat. */
#define ROOM_IS_FULL "The room is full. Please come back later.\r\n"

#endif /* PROTOCOL_H */
