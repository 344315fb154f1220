/* trouble.c - see trouble.h. */

#include "trouble.h"

#include <stdio.h>
#include <string.h>

#include "../common/log.h"

void trouble_log(struct trouble *trouble, const char *what, const char *why)
{
	if (strncmp(trouble->why, why, sizeof trouble->why - 1) == 0)
		return;
	log_warning(NULL, what, why);
	snprintf(trouble->why, sizeof trouble->why, "%s", why);
}

void trouble_ends(struct trouble *trouble, const char *what)
{
	log_text(LOG_INFO, "%s: connected", what);
	trouble->why[0] = '\0';
}
