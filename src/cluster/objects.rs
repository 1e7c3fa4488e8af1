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

    /// Puts a whole object in the place of what is there.
    pub async fn replace(&self, name: &str, params: &PostParams, object: &Value) -> kube::Result<Answer> {
        self.send(self.requests.replace(name, params, text_of(object)?)).await
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

fn text_of(object: &impl Serialize) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(object).map_err(Error::SerdeError)
}
