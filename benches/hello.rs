//! The least that a function in this profile costs: it answers 200 and does nothing. The cold-start benchmark runs it
//! beside the endpoint.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(answer)).await
}

async fn answer(_request: Request) -> Result<Response<Body>, Error> {
    Ok(Response::new(Body::from("hello")))
}
