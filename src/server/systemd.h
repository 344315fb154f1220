/* systemd.h - socket activation and readiness notification, as in sd_listen_fds(3) and
 * sd_notify(3). Other service managers use the same environment variables and datagram. */

#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <stdbool.h>
#include <sys/select.h>

/* Sets up the listening sockets that the service manager has passed, adds them to the set, unsets
 * the variables that announce them, and returns how many there are. When one is unusable, it prints
 * the reason on standard error and returns -1. */
int inherit_listeners(fd_set *listeners);

/* Tells the service manager, if it wants to know, that clients can connect. Returns false when it
 * cannot take that now: call it again then. */
bool notify_ready(void);

#endif /* SYSTEMD_H */
