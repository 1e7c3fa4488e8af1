//! The objects of one kind in one namespace: kube's requests, whose answers stay text of which each caller reads what it
//! wants.

use kube::{
    Client, Error, Resource,
    api::{ApiResource, DeleteParams, DynamicObject, GetParams, Patch, PatchParams, PostParams, Request},
    core::request,
};
use serde::{Serialize, de::Error as _};
use serde_json::Value;

use super::answer::Answer;

/// The objects of one kind in one namespace. No request is sent before it is awaited.
pub struct Objects {
    client: Client,
    requests: Request,
}

impl Objects {
    /// Those of this kind.
    pub fn new(client: Client, resource: &ApiResource, namespace: &str) -> Self {
        Objects { client, requests: Request::new(DynamicObject::url_path(resource, Some(namespace))) }
    }

    /// An object, if it is there.
    pub async fn get_opt(&self, name: &str) -> kube::Result<Option<Answer>> {
        match self.send(self.requests.get(name, &GetParams::default())).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object.
    pub async fn create(&self, params: &PostParams, object: &Value) -> kube::Result<Answer> {
        self.send(self.requests.create(params, text_of(object)?)).await
    }

    /// The same, unless the schema of the kind lacks a field of it: that would be dropped in silence.
    pub async fn create_strictly(&self, params: &PostParams, object: &Value) -> kube::Result<Answer> {
        let call = self.requests.create(params, text_of(object)?).map_err(Error::BuildRequest)?;
        self.send(strict(call)).await
    }

    /// Puts a whole object in the place of what is there.
    pub async fn replace(&self, name: &str, params: &PostParams, object: &Value) -> kube::Result<Answer> {
        self.send(self.requests.replace(name, params, text_of(object)?)).await
    }

    /// The same, unless the schema of the kind lacks a field of it: that would be dropped in silence.
    pub async fn replace_strictly(&self, name: &str, params: &PostParams, object: &Value) -> kube::Result<Answer> {
        let call = self.requests.replace(name, params, text_of(object)?).map_err(Error::BuildRequest)?;
        self.send(strict(call)).await
    }

    /// Changes an object.
    pub async fn patch(&self, name: &str, params: &PatchParams, patch: &Patch<Value>) -> kube::Result<Answer> {
        self.send(self.requests.patch(name, params, patch)).await
    }

    /// Changes the status of an object.
    pub async fn patch_status(&self, name: &str, params: &PatchParams, patch: &Patch<Value>) -> kube::Result<Answer> {
        self.send(self.requests.patch_subresource("status", name, params, patch)).await
    }

    /// Deletes an object. What is answered, its last version or a status, says nothing more.
    pub async fn delete(&self, name: &str, params: &DeleteParams) -> kube::Result<()> {
        let call = self.requests.delete(name, params).map_err(Error::BuildRequest)?;
        self.client.request_text(call).await.map(drop)
    }

    async fn send(&self, call: Result<Call, request::Error>) -> kube::Result<Answer> {
        let text = self.client.request_text(call.map_err(Error::BuildRequest)?).await?;
        Answer::new(text).map_err(|why| Error::SerdeError(serde_json::Error::custom(why)))
    }
}

type Call = axum::http::Request<Vec<u8>>;

fn strict(mut call: Call) -> Result<Call, request::Error> {
    let strict = format!("{}&fieldValidation=Strict", call.uri());
    *call.uri_mut() = strict.parse().map_err(|why| request::Error::BuildRequest(Into::into(why)))?;
    Ok(call)
}

fn text_of(object: &impl Serialize) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(object).map_err(Error::SerdeError)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::{super::locks::lock, *};

    #[tokio::test]
    async fn only_a_strict_write_is_refused_for_a_field_that_the_schema_lacks() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let answer = move |request: Request<Body>| {
            lock(&seen).push(request.uri().to_string());
            async { Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec()))) }
        };
        let client = Client::new(tower::service_fn(answer), "shop");
        let kind = ApiResource {
            group: "mesh.example.com".into(),
            version: "v1".into(),
            api_version: "mesh.example.com/v1".into(),
            kind: "Route".into(),
            plural: "routes".into(),
        };
        let objects = Objects::new(client, &kind, "shop");
        let params = PostParams { field_manager: Some("glidepath".into()), ..PostParams::default() };
        // The answer says nothing that matters here.
        let _ = objects.replace("web", &params, &json!({})).await;
        let _ = objects.replace_strictly("web", &params, &json!({})).await;
        let asked = lock(&asked);
        assert_eq!(asked.len(), 2);
        assert!(
            asked[0].contains("/apis/mesh.example.com/v1/namespaces/shop/routes/web?") && !asked[0].contains("Strict")
        );
        assert_eq!(asked[1], format!("{}&fieldValidation=Strict", asked[0]));
    }
}
