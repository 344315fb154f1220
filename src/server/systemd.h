/* systemd.h - what systemd hands to a service and wants to hear from it: environment variables and a
 * datagram, which others speak as well (sd_listen_fds(3), sd_notify(3)). */

#ifndef SYSTEMD_H
#define SYSTEMD_H

/* The number of the first socket that is passed; the others follow it. */
enum { FIRST_PASSED = 3 };

/* How many listening sockets have been passed, 0 for none. They are made ready for use, and the
 * variables that tell of them are gone afterwards. -1, having said why on standard error, when what
 * has been passed is of no use. */
int take_passed_sockets(void);

/* Tells whoever waits for it that clients are welcome. */
void say_ready(void);

#endif /* SYSTEMD_H */
