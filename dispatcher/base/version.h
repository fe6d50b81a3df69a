/*
 * version - what this program is called when it speaks of itself.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef POSTBATCH_VERSION
#define POSTBATCH_VERSION "0.1.0"
#endif

#endif
