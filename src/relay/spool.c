/* spool.c - see spool.h. */

#include "spool.h"

#include <stdlib.h>
#include <string.h>

#include "../common/line_ends.h"

void spool_begin_epoch(struct spool *spool, uint64_t now)
{
	struct stamp *next = &spool->next;

	next->epoch = now > next->epoch ? now : next->epoch + 1;
	next->seq = 1;
	next->lines = 0;
}

void spool_lose(struct spool *spool, uint64_t lines)
{
	spool->lost += lines;
	spool->unlogged += lines;
}

void spool_remove_first(struct spool *spool)
{
	struct message *first = spool->first;

	spool->first = first->next;
	if (spool->first == NULL)
		spool->last = NULL;
	spool->bytes -= first->length + MESSAGE_OVERHEAD;
	spool->lines -= first->lines;
	free(first);
}

void spool_add(struct spool *spool, const char *text, size_t length)
{
	const uint64_t lines = count_line_ends(text, length);
	const struct stamp stamp = spool->next;
	struct message *message;

	spool->next.seq++;
	spool->next.lines += lines;
	while (spool->first != NULL && spool->bytes + length + MESSAGE_OVERHEAD > spool->limit) {
		spool_lose(spool, spool->first->lines);
		spool_remove_first(spool);
	}
	message = malloc(sizeof *message + length);
	if (message == NULL) {
		spool_lose(spool, lines);
		return;
	}
	*message = (struct message){ .stamp = stamp, .lines = lines, .length = length };
	memcpy(message->text, text, length);
	if (spool->last != NULL)
		spool->last->next = message;
	else
		spool->first = message;
	spool->last = message;
	spool->bytes += length + MESSAGE_OVERHEAD;
	spool->lines += lines;
}
