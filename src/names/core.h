/*
 * core.h - the functions of chatServer.h under the names that they have inside of the archive.
 *
 * snake_case.c and camelCase.c have the public names, each for one style. The archive has them in
 * members of their own, so a program in one style may use the names of the other for its own
 * functions; and one that has forgotten to drop one of its five functions is still not linked.
 */

#ifndef CHAT_CORE_H
#define CHAT_CORE_H

#include "chatServer.h"

#pragma GCC visibility push(hidden)

int chat_core_init_pool(conn_pool_t *pool);
int chat_core_add_conn(int sd, conn_pool_t *pool);
int chat_core_remove_conn(int sd, conn_pool_t *pool);
int chat_core_add_msg(int sd, char *buffer, int len, conn_pool_t *pool);
int chat_core_addMsg(int sd, char *buffer, int len, conn_pool_t *pool);
int chat_core_write_msg(int sd, conn_pool_t *pool);

#pragma GCC visibility pop

#endif /* CHAT_CORE_H */
