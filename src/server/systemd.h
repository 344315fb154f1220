/* systemd.h - socket activation, as in sd_listen_fds(3). Other service managers use the same
 * environment variables. */

#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <sys/select.h>

/* Sets up the listening sockets that the service manager has passed, adds them to the set, unsets
 * the variables that announce them, and returns how many there are. When one is unusable, it prints
 * the reason on standard error and returns -1. */
int inherit_listeners(fd_set *listeners);

#endif /* SYSTEMD_H */
