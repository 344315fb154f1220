/* leave.h - how clients leave. */

#ifndef LEAVE_H
#define LEAVE_H

#include <sys/types.h>

#include "server.h"

/* How long a client that has shut down sending may stay without taking anything. The kernel's
 * TCP_USER_TIMEOUT is the same, but not every kernel has it. */
#ifndef STALLED_S
#define STALLED_S 90
#endif

/* Relays the last line of a client that says nothing more, with a line end where there is none. */
void end_last_line(struct server *server, int sd);

void remove_client(struct server *server, int sd);

/* Handles a read that got nothing. A client that has shut down sending may still listen, and stays
 * until it has taken what is queued for it. */
void end_client(struct server *server, int sd, ssize_t count, int error);

/* Removes clients that are leaving and for whom nothing is left, or who take nothing. */
void remove_leaving(struct server *server);

#endif /* LEAVE_H */
