/* origins.c - see origins.h. */

#include "origins.h"

#include <string.h>

struct origin *origins_find(struct origins *origins, const char *name)
{
	struct origin *origin, *oldest = origins->all;

	if (strlen(name) >= NAME_SIZE)
		return NULL;
	origins->calls++;
	for (origin = origins->all; origin < origins->all + ORIGINS; origin++) {
		if (origin->heard_at != 0 && strcmp(origin->name, name) == 0) {
			origin->heard_at = origins->calls;
			return origin;
		}
		/* Lost lines are logged within a second; until then their origin stays. */
		if (origin->unlogged == 0 &&
		    (oldest->unlogged > 0 || origin->heard_at < oldest->heard_at))
			oldest = origin;
	}
	*oldest = (struct origin){ .heard_at = origins->calls };
	strcpy(oldest->name, name);
	return oldest;
}

/* Makes the stamp's epoch the newest one. */
static void begin_epoch(struct origin *origin, const struct stamp *stamp)
{
	memmove(origin->epochs + 1, origin->epochs, sizeof origin->epochs - sizeof *origin->epochs);
	origin->epochs[0].epoch = stamp->epoch;
	origin->epochs[0].last_seq = 0;
	origin->lines = 0;
}

enum verdict origin_check(struct origin *origin, const struct stamp *stamp, uint64_t line_count,
                          uint64_t *lost)
{
	const bool is_known = origin->epochs[0].epoch != 0;
	enum verdict verdict = ORIGIN_GOES_ON;
	int at = 0;

	*lost = 0;
	while (at < EPOCHS && origin->epochs[at].epoch != stamp->epoch)
		at++;
	if (at < EPOCHS && stamp->seq <= origin->epochs[at].last_seq)
		return ORIGIN_REPEATS;
	if (at == EPOCHS) {
		begin_epoch(origin, stamp);
		at = 0;
		/* Of one that is heard for the first time, nothing is missing. */
		if (is_known)
			verdict = ORIGIN_BEGINS_EPOCH;
		else
			origin->lines = stamp->lines;
	} else if (at > 0 || stamp->seq > origin->epochs[at].last_seq + 1) {
		verdict = ORIGIN_SKIPS;
	}
	origin->epochs[at].last_seq = stamp->seq;
	if (at == 0) {
		if (stamp->lines > origin->lines)
			*lost = stamp->lines - origin->lines;
		origin->lines = stamp->lines + line_count;
	}
	return verdict;
}
