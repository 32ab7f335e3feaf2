//! The shared words of the data path: request, response, body, context, response flags.
