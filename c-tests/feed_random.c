/* chat_feed against a model, in chunks of random sizes from several clients. */

#include "chatServerExt.h"
#include "room.h"

/* Of a line that does not end, so much is kept at most; see the header. */
enum { PIECE = 64 * 1024 };

/* What the room should do, in the plainest words: a tail for each, and what each has heard. */
enum { CLIENTS = 4, MOST = 1 << 20 };

struct model {
	size_t kept, heard;
	char tail[PIECE], told[MOST];
};

static void tell_others(struct model models[CLIENTS], int speaker, const char *bytes, size_t size)
{
	int at;

	for (at = 0; at < CLIENTS; at++) {
		if (at == speaker)
			continue;
		CHECK(size <= MOST - models[at].heard);
		memcpy(models[at].told + models[at].heard, bytes, size);
		models[at].heard += size;
	}
}

static void feed_model(struct model models[CLIENTS], int speaker, const char *bytes, size_t size)
{
	struct model *model = &models[speaker];
	size_t at;

	for (at = 0; at < size; at++) {
		model->tail[model->kept++] = bytes[at];
		if (bytes[at] == '\n' || model->kept == PIECE) {
			tell_others(models, speaker, model->tail, model->kept);
			model->kept = 0;
		}
	}
}

static unsigned int seed;

/* A number below `limit`; the sequence depends on the seed alone. */
static size_t chance(size_t limit)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % limit;
}

/* A chunk of up to `most` bytes, in which newlines are frequent, rare, or not to be found. */
static size_t make_chunk(char *chunk, size_t most)
{
	size_t size = 1 + chance(most), rarity = 2 + chance(500), at;
	bool endless = chance(3) == 0;

	for (at = 0; at < size; at++) {
		chunk[at] = chance(rarity) == 0 ? '\n' : (char)chance(256);
		if (endless && chunk[at] == '\n')
			chunk[at] = ' ';
	}
	return size;
}

/* Hands out to everyone, and checks what each has heard since the last time. */
static void check_models(struct model models[CLIENTS], struct client clients[CLIENTS],
                         conn_pool_t *pool)
{
	int at;

	for (at = 0; at < CLIENTS; at++) {
		size_t size = models[at].heard, count = 0;
		char *heard = malloc(size + 1);

		while (queued(clients[at].sd, pool) > 0) {
			CHECK_EQ(write_msg(clients[at].sd, pool), 0);
			count += hear(clients[at].peer, heard + count, size + 1 - count);
			CHECK(count <= size);
		}
		CHECK_EQ(count, size);
		CHECK_EQ(memcmp(heard, models[at].told, size), 0);
		models[at].heard = 0;
		free(heard);
	}
}

static void chat_at_random(int chunks, size_t most)
{
	struct model *models = calloc(CLIENTS, sizeof *models);
	char *chunk = malloc(most);
	struct client clients[CLIENTS];
	conn_pool_t pool;
	int at;

	open_room(clients, CLIENTS, &pool);
	for (at = 0; at < chunks; at++) {
		int speaker = (int)chance(CLIENTS), listener = (speaker + 1) % CLIENTS;
		int messages = queued(clients[listener].sd, &pool);
		size_t size = make_chunk(chunk, most);

		feed_model(models, speaker, chunk, size);
		CHECK_EQ(chat_feed(clients[speaker].sd, chunk, (int)size, &pool), 0);
		CHECK(queued(clients[listener].sd, &pool) <= messages + 1);
		if (at % 8 == 7)
			check_models(models, clients, &pool);
	}
	for (at = 0; at < CLIENTS; at++) {
		tell_others(models, at, models[at].tail, models[at].kept);
		CHECK_EQ(chat_feed(clients[at].sd, NULL, 0, &pool), 0);
	}
	check_models(models, clients, &pool);
	leave_all(clients, CLIENTS, &pool);
	free(chunk);
	free(models);
}

/* FEED_SEED repeats a run that has failed. */
TEST(random_chunks_are_passed_on_as_in_the_model)
{
	const char *given = getenv("FEED_SEED");

	seed = given != NULL ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)getpid();
	fprintf(stderr, "FEED_SEED=%u\n", seed);
	chat_at_random(1000, 16);
	chat_at_random(300, 4096);
	chat_at_random(100, 40000);
}
