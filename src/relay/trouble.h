/* trouble.h - logs why a connection does not work, but each reason once until it works. */

#ifndef TROUBLE_H
#define TROUBLE_H

/* What has been logged last; empty while the connection works. */
struct trouble {
	char why[100];
};

/* Logs the reason, unless it was the last one. */
void trouble_log(struct trouble *trouble, const char *what, const char *why);

/* Logs that it works. */
void trouble_ends(struct trouble *trouble, const char *what);

#endif /* TROUBLE_H */
