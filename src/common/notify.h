/* notify.h - readiness notification, as in sd_notify(3). Other service managers take the same
 * datagram. */

#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>

/* Tells the service manager, if it wants to know, that the program is ready. Returns false when it
 * cannot take that now: call it again then. */
bool notify_ready(void);

#endif /* NOTIFY_H */
